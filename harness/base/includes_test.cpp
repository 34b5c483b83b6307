// Who may include whom, checked by reading the sources: base <- kernels <- policies; base <- tasks;
// harness sees all; nothing else includes harness; kernels know no framework but in tensor_ops.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>

namespace {

namespace fs = std::filesystem;
const fs::path kRoot = KVBENCH_TEST_ROOT;

// Calls `check(file relative to the root, included path)` for every #include below `folder`.
template <class F>
void for_each_include(const std::string& folder, F&& check) {
  static const std::regex include(R"(^\s*#include\s*[<"]([^>"]+)[>"])");
  int n_files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
    const std::set<std::string> kinds = {".cpp", ".h", ".cu", ".cuh"};
    if (!kinds.contains(entry.path().extension().string())) continue;
    ++n_files;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      std::smatch match;
      if (std::regex_search(line, match, include)) {
        check(fs::relative(entry.path(), kRoot).string(), match[1].str());
      }
    }
  }
  EXPECT_GT(n_files, 0) << folder;
}

TEST(Includes, GoOneWay) {
  const std::map<std::string, std::vector<std::string>> allowed = {
      {"harness/base", {"harness/base/"}},
      {"kernels", {"harness/base/", "kernels/"}},
      {"policies", {"harness/base/", "kernels/", "policies/"}},
      {"tasks", {"harness/base/", "tasks/"}},
  };
  for (const auto& [folder, prefixes] : allowed) {
    for_each_include(folder, [&](const std::string& file, const std::string& included) {
      const bool ours = included.starts_with("harness/") || included.starts_with("kernels/") ||
                        included.starts_with("policies/") || included.starts_with("tasks/");
      if (!ours) return;
      const bool fine = std::any_of(prefixes.begin(), prefixes.end(),
                                    [&](const auto& p) { return included.starts_with(p); });
      EXPECT_TRUE(fine) << file << " must not include " << included;
    });
  }
}

TEST(Includes, KernelsKnowNoFramework) {
  for_each_include("kernels", [](const std::string& file, const std::string& included) {
    const bool torch = included.starts_with("ATen/") || included.starts_with("torch/") ||
                       included.starts_with("c10/");
    const bool may = file.starts_with("kernels/tensor_ops.") || file.ends_with("_test.cpp") ||
                     file.ends_with("_bench.cpp");
    EXPECT_TRUE(!torch || may) << file << " must not include " << included;
  });
}

TEST(Includes, TasksAndTextKnowNoFramework) {
  for (const char* folder :
       {"tasks", "harness/base", "harness/text", "harness/config", "harness/results"}) {
    for_each_include(folder, [](const std::string& file, const std::string& included) {
      EXPECT_FALSE(included.starts_with("ATen/") || included.starts_with("torch/"))
          << file << " must not include " << included;
    });
  }
}

}  // namespace
