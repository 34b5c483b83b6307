// For tests: a folder of gates of any small model, one file a scorer that reads gates.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "harness/base/test_util.h"
#include "harness/model/model_config.h"
#include "policies/gates/test_gates.h"

namespace kvbench {

inline std::filesystem::path write_test_gates(const std::string& test, const ModelConfig& model) {
  return write_all_gates(process_folder() / (test + "_gates"), model.shape());
}

}  // namespace kvbench
