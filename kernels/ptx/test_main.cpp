// Runs the tests of the operators on the PTX engine: every finding fails the test at hand.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "kernels/ptx/engine.h"

namespace {

class Findings : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override {
    const char* seed = std::getenv("KVBENCH_PTX_SEED");  // a test runs alike alone and with others
    kvbench::ptx::set_seed(seed == nullptr ? 0 : std::strtoull(seed, nullptr, 10));
  }
  void OnTestEnd(const testing::TestInfo&) override {
    for (const auto& finding : kvbench::ptx::take_findings()) ADD_FAILURE() << finding.text();
  }
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  // Ends of tests are told in reverse order: before the printer's.
  testing::UnitTest::GetInstance()->listeners().Append(new Findings);
  const int status = RUN_ALL_TESTS();
  if (const char* path = std::getenv("KVBENCH_PTX_COUNTERS")) {
    std::ofstream(path) << kvbench::ptx::counters_json();
  }
  return status;
}
