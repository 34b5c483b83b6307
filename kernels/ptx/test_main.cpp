// Runs tests on the PTX engine: every finding fails the test at hand.
//
// Environment: KVBENCH_PTX_SEED, KVBENCH_PTX_DROP (engine.h); KVBENCH_PTX_COUNTERS=FILE gets all
// counters at the end, KVBENCH_PTX_BARRIERS=FILE a line "PLACE TEST" for each barrier line that a
// test executes, and "PLACE" for each that there is; KVBENCH_PTX_RESULTS=FILE a line "TEST HASH" of
// what each test read back. With KVBENCH_PTX_ALL=1 a kernel that no test has run fails.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>

#include "kernels/ptx/engine.h"

namespace {

using namespace kvbench::ptx;

class Findings : public testing::EmptyTestEventListener {
 public:
  uint64_t n_findings = 0;

 private:
  void OnTestStart(const testing::TestInfo&) override {
    const char* seed = std::getenv("KVBENCH_PTX_SEED");  // a test runs alike alone and with others
    set_seed(seed == nullptr ? 0 : std::strtoull(seed, nullptr, 10));
  }
  void OnTestEnd(const testing::TestInfo&) override {
    for (const auto& finding : take_findings()) {
      ++n_findings;
      ADD_FAILURE() << finding.text();
    }
  }
};

class Results : public testing::EmptyTestEventListener {
 public:
  explicit Results(const char* path) : file_(path) {}

 private:
  void OnTestStart(const testing::TestInfo&) override { take_read_hash(); }
  void OnTestEnd(const testing::TestInfo& test) override {
    file_ << test.test_suite_name() << '.' << test.name() << ' ' << take_read_hash() << '\n';
  }
  std::ofstream file_;
};

class Barriers : public testing::EmptyTestEventListener {
 public:
  explicit Barriers(const char* path) : file_(path) {
    for (const auto& line : barrier_lines()) file_ << line.place << '\n';
  }

 private:
  void OnTestEnd(const testing::TestInfo& test) override {
    for (const auto& line : barrier_lines()) {
      uint64_t& before = executed_[line.place];
      if (line.executed > before) {
        file_ << line.place << ' ' << test.test_suite_name() << '.' << test.name() << '\n';
      }
      before = line.executed;
    }
  }
  std::ofstream file_;
  std::map<std::string, uint64_t> executed_;
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  // Ends of tests are told in reverse order: before the printer's.
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  auto* findings = new Findings;
  listeners.Append(findings);
  if (const char* path = std::getenv("KVBENCH_PTX_BARRIERS")) listeners.Append(new Barriers(path));
  if (const char* path = std::getenv("KVBENCH_PTX_RESULTS")) listeners.Append(new Results(path));
  int status = RUN_ALL_TESTS();
  if (std::getenv("KVBENCH_PTX_ALL") != nullptr) {
    for (const auto& kernel : kernels_not_run()) {
      std::cout << "no test runs the kernel " << kernel << '\n';
      status = 1;
    }
  }
  if (const char* path = std::getenv("KVBENCH_PTX_COUNTERS")) {
    std::ofstream(path) << counters_json();
  }
  if (findings->n_findings > 0) std::cout << findings->n_findings << " findings\n";
  return status;
}
