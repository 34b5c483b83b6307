// Who may include whom, checked by reading the sources: base <- kernels <- policies; base <- tasks;
// harness sees all of them, in the order of its own rooms; kernels know no framework but in their
// *_torch files.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>

namespace {

namespace fs = std::filesystem;
const fs::path kRoot = KVBENCH_TEST_ROOT;

// Calls `check(file relative to the root, line)` for every line of a source below `folder`.
template <class F>
void for_each_line(const std::string& folder, F&& check) {
  int n_files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
    const std::set<std::string> kinds = {".cpp", ".h", ".cu", ".cuh"};
    if (!kinds.contains(entry.path().extension().string())) continue;
    ++n_files;
    std::ifstream in(entry.path());
    const std::string file = fs::relative(entry.path(), kRoot).string();
    for (std::string line; std::getline(in, line);) check(file, line);
  }
  EXPECT_GT(n_files, 0) << folder;
}

// Calls `check(file, included path)` for every #include.
template <class F>
void for_each_include(const std::string& folder, F&& check) {
  static const std::regex include(R"(^\s*#include\s*[<"]([^>"]+)[>"])");
  for_each_line(folder, [&](const std::string& file, const std::string& line) {
    std::smatch match;
    if (std::regex_search(line, match, include)) check(file, match[1].str());
  });
}

TEST(Includes, GoOneWay) {
  // Rooms from the ground up; each may include itself and what its line names.
  const std::string base = "harness/base/", kernels = "kernels/", policies = "policies/",
                    tasks = "tasks/", text = "harness/text/", config = "harness/config/",
                    cache = "harness/cache/", model = "harness/model/", engine = "harness/engine/",
                    results = "harness/results/", report = "harness/report/",
                    profile = "harness/profile/", sweep = "harness/sweep/", cli = "harness/cli/";
  const std::map<std::string, std::vector<std::string>> allowed = {
      {base, {}},
      {kernels, {base}},
      {policies, {base, kernels}},
      {tasks, {base}},
      {text, {base}},
      {config, {base, policies, tasks}},
      {results, {base}},
      {report, {base, tasks, results}},
      {cache, {base, kernels, policies}},
      {model, {base, kernels, policies, tasks, text, config, cache}},
      {engine, {base, kernels, policies, tasks, config, cache, model}},
      {profile, {base, policies, tasks, config, cache, model, engine, report}},
      {sweep, {base, policies, tasks, text, config, cache, model, engine, results}},
      {cli,
       {base, policies, tasks, text, config, cache, model, engine, results, report, profile, sweep,
        "harness/golden/"}},  // its tests read golden files
  };
  for (const auto& entry : fs::directory_iterator(kRoot / "harness")) {
    const std::string room = "harness/" + entry.path().filename().string() + "/";
    const std::set<std::string> kNoRooms = {"harness/toolchain/", "harness/golden/",
                                            "harness/fuzz/"};
    const bool holds_sources = !kNoRooms.contains(room);
    if (entry.is_directory() && holds_sources) {
      EXPECT_TRUE(allowed.contains(room)) << room << " has no line here";
    }
  }
  for (const auto& [room, below] : allowed) {
    for_each_include(room, [&](const std::string& file, const std::string& included) {
      const bool ours = included.starts_with("harness/") || included.starts_with("kernels/") ||
                        included.starts_with("policies/") || included.starts_with("tasks/");
      if (!ours || included.starts_with(room)) return;
      const bool fine = std::any_of(below.begin(), below.end(),
                                    [&](const auto& p) { return included.starts_with(p); });
      EXPECT_TRUE(fine) << file << " must not include " << included;
    });
  }
}

TEST(Includes, KernelsKnowNoFramework) {
  for_each_include("kernels", [](const std::string& file, const std::string& included) {
    const bool torch = included.starts_with("ATen/") || included.starts_with("torch/") ||
                       included.starts_with("c10/");
    const bool face = included.ends_with("_torch.h");  // brings LibTorch along
    const bool may = file.ends_with("_torch.cpp") || file.ends_with("_torch.h") ||
                     file.ends_with("_test.cpp") || file.ends_with("_bench.cpp");
    EXPECT_TRUE(!(torch || face) || may) << file << " must not include " << included;
  });
}

TEST(Includes, TasksAndTextKnowNoFramework) {
  for (const char* folder : {"tasks", "harness/base", "harness/text", "harness/config",
                             "harness/results", "harness/report"}) {
    for_each_include(folder, [](const std::string& file, const std::string& included) {
      EXPECT_FALSE(included.starts_with("ATen/") || included.starts_with("torch/"))
          << file << " must not include " << included;
    });
  }
}

// Tests run beside one another, in several builds of one machine too: what they write lies in
// folders that nothing else has (base/test_util.h), never in one that has a name of its own.
TEST(Sources, TestsShareNoFolder) {
  for (const char* folder : {"harness", "kernels", "policies", "tasks"}) {
    for_each_line(folder, [](const std::string& file, const std::string& line) {
      const std::string shared = std::string("testing::") + "TempDir";
      EXPECT_EQ(line.find(shared), std::string::npos) << file;
    });
  }
}

}  // namespace
