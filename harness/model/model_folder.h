// What lies in a folder that should be a model but is none.
#pragma once

#include <filesystem>
#include <string>

namespace kvbench {

// For the end of a message: "found pytorch_model.bin: ...what to do", of weights in other forms,
// adapters and shards without their index; "found no weights" when there are none.
std::string describe_weight_files(const std::filesystem::path& dir);

}  // namespace kvbench
