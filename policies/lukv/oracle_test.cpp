// Norms of projected values against their definition in plain loops with double sums.
#include "policies/lukv/oracle.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numeric>

#include "policies/scorers/testing.h"

namespace kvbench::lukv {
namespace {

constexpr int64_t kQueryHeads = 4, kTokens = 7, kSize = 8;

double at2(const at::Tensor& t, int64_t i, int64_t j) { return t[i][j].item<double>(); }

std::vector<std::vector<double>> plain_norms(const LayerView& layer) {
  std::vector<std::vector<double>> norms(kQueryHeads, std::vector<double>(kTokens));
  for (int64_t q = 0; q < kQueryHeads; ++q) {
    for (int64_t j = 0; j < kTokens; ++j) {
      double square = 0;
      for (int64_t row = 0; row < layer.output_weight.size(0); ++row) {
        double sum = 0;
        for (int64_t i = 0; i < kSize; ++i) {
          sum += at2(layer.output_weight, row, q * kSize + i) *
                 layer.values[q / 2][j][i].item<double>();
        }
        square += sum * sum;
      }
      norms[q][j] = std::sqrt(square);
    }
  }
  return norms;
}

TEST(LuKvOracle, NormsOfProjectedValues) {
  const LayerView layer = testing::random_view(kTokens);
  const auto want = plain_norms(layer);
  double sum = 0;
  for (const auto& row : want) sum = std::accumulate(row.begin(), row.end(), sum);
  const at::Tensor plain = value_norms(layer, OracleNorm::kNone);
  const at::Tensor shares = value_norms(layer, OracleNorm::kLayer);
  for (int64_t q = 0; q < kQueryHeads; ++q) {
    for (int64_t j = 0; j < kTokens; ++j) {
      EXPECT_NEAR(at2(plain, q, j), want[q][j], 1e-6 * want[q][j]);
      EXPECT_NEAR(at2(shares, q, j), want[q][j] / sum, 1e-6 * want[q][j] / sum);
    }
  }
}

}  // namespace
}  // namespace kvbench::lukv
