// For tests: gates of any small model.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "harness/base/test_util.h"
#include "harness/model/model_config.h"
#include "policies/gates/test_gates.h"

namespace kvbench {

inline std::filesystem::path write_test_gates(const std::string& test, const ModelConfig& model) {
  return write_gates(process_folder() / (test + "_gates.safetensors"), model.shape(),
                     random_gate_values());
}

}  // namespace kvbench
