#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <set>
#include <vector>

#include "harness/base/error.h"
#include "harness/fuzz/mutator.h"
#include "harness/fuzz/runner.h"

namespace kvbench::fuzz {
namespace {

TEST(Mutator, SameSeedSameBytes) {
  const std::vector<std::string> files = {R"({"a": 1, "b": [true, null]})", "name: x\nlist: [1]\n"};
  std::set<std::string> made;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random one(seed), again(seed);
    const std::string bytes = mutate(files, {.text = true}, one);
    EXPECT_EQ(bytes, mutate(files, {.text = true}, again));
    made.insert(bytes);
  }
  EXPECT_GT(made.size(), 150U);
}

TEST(Mutator, TheLengthOfAHeaderFollowsIt) {
  const std::string header = R"({"shape": [2, 3]})";
  const std::string good = "M" + std::string(1, static_cast<char>(header.size())) +
                           std::string(1, '\0') + header + "DATA";
  int followed = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    const std::string bytes = mutate({good}, {.length_at = 1, .length_bytes = 2}, random);
    if (bytes.size() < 7 || bytes.size() == good.size() || !bytes.ends_with("DATA")) continue;
    const size_t length = static_cast<uint8_t>(bytes[1]) + 256U * static_cast<uint8_t>(bytes[2]);
    followed += bytes.size() == 3 + length + 4 ? 1 : 0;
  }
  EXPECT_GT(followed, 20);
}

// What a reader does with every input; `good` is what it does with the good file.
Summary run_reader(const std::function<void(const std::filesystem::path&)>& reader) {
  const Target target = {"test",
                         "file",
                         {},
                         [](const auto&) { return std::vector<std::string>{"good"}; },
                         [reader](const std::filesystem::path& folder) {
                           std::ifstream in(folder / "file");
                           const std::string bytes(std::istreambuf_iterator<char>(in), {});
                           if (bytes != "good") reader(folder);
                         }};
  return run(target, {.inputs = 3, .cpu_seconds_of_input = 0.2, .memory = 64 << 20});
}

std::string first_failure(const Summary& summary) {
  return summary.failures.empty() ? "none" : summary.failures.front().what;
}

TEST(Runner, RefusalsAreNoFailures) {
  const Summary summary = run_reader([](const std::filesystem::path& folder) {
    throw_input_error("{}: expected better", (folder / "file").string());
  });
  EXPECT_EQ(summary.inputs, 3);
  EXPECT_EQ(summary.read + summary.refused, 3);
  EXPECT_GT(summary.refused, 0);
  EXPECT_EQ(first_failure(summary), "none");
}

TEST(Runner, FindsCrashes) {
  const Summary summary = run_reader([](const auto&) { raise(SIGSEGV); });
  EXPECT_NE(first_failure(summary).find("Segmentation"), std::string::npos);
  EXPECT_EQ(summary.library_crashes, 0);
  EXPECT_EQ(summary.inputs, 3);  // it goes on behind each
  EXPECT_EQ(summary.failures.size(), 1U);
}

TEST(Runner, FindsEndlessLoops) {
  const Summary summary = run_reader([](const auto&) {
    volatile bool forever = true;
    while (forever) {
    }
  });
  EXPECT_EQ(first_failure(summary), "takes too long");
}

TEST(Runner, FindsWasteOfMemory) {
  const Summary summary = run_reader([](const auto&) {
    std::vector<std::string> all;
    while (true) all.emplace_back(1 << 20, 'x');
  });
  EXPECT_EQ(first_failure(summary), "takes too much memory");
}

TEST(Runner, FindsOtherExceptionsAndBadMessages) {
  EXPECT_NE(first_failure(run_reader([](const auto&) { throw std::bad_alloc(); })), "none");
  EXPECT_NE(first_failure(run_reader([](const auto&) { throw std::runtime_error("x"); })), "none");
  EXPECT_NE(first_failure(run_reader([](const auto&) { throw InputError("nowhere"); })), "none");
}

TEST(Runner, AGoodFileMustBeRead) {
  const Target target = {
      "test",
      "file",
      {},
      [](const auto&) { return std::vector<std::string>{"good"}; },
      [](const std::filesystem::path& folder) { throw InputError(folder.string() + ": no"); }};
  EXPECT_THROW(run(target, {.inputs = 1}), std::runtime_error);
}

}  // namespace
}  // namespace kvbench::fuzz
