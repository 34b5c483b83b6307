// For the tests of this folder: their data, and model folders of given files.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "harness/base/test_util.h"

namespace kvbench {

inline std::filesystem::path testdata(const std::string& name) {
  return std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/text/testdata" / name;
}

// A folder of the running test with the given files, texts as they are and all else as JSON; one
// that was there before is gone.
inline std::filesystem::path model_dir(const nlohmann::json& files) {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  const auto dir = process_folder() / fmt::format("{}_{}", test->test_suite_name(), test->name());
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  for (const auto& [name, content] : files.items()) {
    std::filesystem::create_directories((dir / name).parent_path());
    std::ofstream(dir / name, std::ios::binary)
        << (content.is_string() ? content.get<std::string>() : content.dump());
  }
  return dir;
}

// The same with the tests' tokenizer.
inline std::filesystem::path tokenizer_dir(const nlohmann::json& files) {
  const auto dir = model_dir(files);
  std::filesystem::copy_file(testdata("smollm.json"), dir / "tokenizer.json");
  return dir;
}

}  // namespace kvbench
