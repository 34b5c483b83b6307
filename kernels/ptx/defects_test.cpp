// Every check of the engine: the planted defect is found, its right twin is clean, in any order of
// blocks and warps.
#include "kernels/ptx/defects.h"

#include <algorithm>

#include "kernels/common/test_device.h"
#include "kernels/ptx/engine.h"

namespace kvbench::ptx {

static void PrintTo(const Defect& defect, std::ostream* out) { *out << defect.name; }

namespace {

constexpr uint64_t kSeeds = 5;

class Defects : public testing::TestWithParam<Defect> {};

std::vector<Finding> run(const Defect& defect, bool planted, int* status) {
  std::vector<float> values(256);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  TestArray<float> in(values), out(values.size());
  TestArray<int> counters(std::vector<int>(4, 0));
  float* freed = nullptr;
  EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&freed), 1024), cudaSuccess);
  EXPECT_EQ(cudaFree(freed), cudaSuccess);
  *status = launch_defect(defect, planted,
                          {in.data(), out.data(), counters.data(), values.data(), freed});
  return take_findings();
}

TEST_P(Defects, AreFoundAndTwinsAreClean) {
  const Defect& defect = GetParam();
  set_step_limit(1 << 20);
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    set_seed(seed);
    int status = 0;
    const auto clean = run(defect, false, &status);
    EXPECT_EQ(status, 0);
    for (const auto& finding : clean) ADD_FAILURE() << "in the right twin: " << finding.text();
    const auto found = run(defect, true, &status);
    const auto is = [&](const Finding& f) { return f.check == defect.check; };
    ASSERT_TRUE(std::any_of(found.begin(), found.end(), is)) << "seed " << seed;
    const auto& finding = *std::find_if(found.begin(), found.end(), is);
    EXPECT_TRUE(finding.kernel.starts_with(defect.name)) << finding.text();
    EXPECT_TRUE(finding.place.starts_with("kernels/ptx/defects.cu:")) << finding.text();
    if (finding.check.starts_with("race")) {
      EXPECT_TRUE(finding.other_place.starts_with("kernels/ptx/defects.cu:")) << finding.text();
    }
    cudaGetLastError();
  }
}

INSTANTIATE_TEST_SUITE_P(Planted, Defects, testing::ValuesIn(defects()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Limits, AreThoseOfTheDevice) {
  EXPECT_EQ(launch_limits(1, 1024, 48 * 1024, false), cudaSuccess);
  EXPECT_EQ(launch_limits(1, 1025, 48 * 1024, false), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch_limits(65536, 1, 1024, false), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch_limits(1, 32, 48 * 1024 + 1, false), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch_limits(1, 32, 227 * 1024, true), cudaSuccess);
  EXPECT_EQ(launch_limits(1, 32, 227 * 1024 + 16, true), cudaErrorInvalidValue);
}

// Host calls are watched too.
TEST(Runtime, Misuse) {
  TestArray<float> array(std::vector<float>(4, 1));
  float values[5] = {};
  EXPECT_NE(cudaMemcpy(array.data(), values, sizeof values, cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_NE(cudaMemcpy(values, array.data(), 4, cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_NE(cudaFree(array.data() + 1), cudaSuccess);
  EXPECT_EQ(take_findings().size(), 3U);
  cudaGetLastError();
  TestArray<float> unwritten(4);
  EXPECT_EQ(unwritten.read().size(), 4U);
  const auto findings = take_findings();
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].check, "unwritten result");
}

}  // namespace
}  // namespace kvbench::ptx
