// The RULER tasks: one YAML file each, samples from an official file or generated.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tasks/ruler/generator.h"
#include "tasks/ruler/ruler_file.h"
#include "tasks/task.h"

namespace kvbench {

// All of them, to be written by write_ruler_file. Throws InputError also for a length that is too
// small.
std::vector<RulerRecord> generate_ruler(const std::string& task, int64_t length, int64_t samples,
                                        uint64_t seed, const TokenCounter& count_tokens);

// Reads tasks/ruler/<name>.yaml: family, parameters, tokens_to_generate, metric.
// Throws InputError with file and line.
std::unique_ptr<Task> load_ruler_task(const std::string& name, const std::filesystem::path& file);

}  // namespace kvbench
