#include "harness/engine/next_token.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "harness/base/error.h"

namespace kvbench {

int64_t sample_token(const at::Tensor& logits, double temperature, Random& random) {
  const at::Tensor host = logits.to(at::kCPU).contiguous();
  const std::span row(host.const_data_ptr<float>(), static_cast<size_t>(host.numel()));
  const auto best = std::max_element(row.begin(), row.end());
  KVB_CHECK(std::none_of(row.begin(), row.end(), [](float x) { return std::isnan(x); }),
            "the logits of a step are NaN");
  if (temperature == 0) return best - row.begin();
  const auto weight = [&](float logit) {
    return std::exp((static_cast<double>(logit) - static_cast<double>(*best)) / temperature);
  };
  double sum = 0;
  for (const float logit : row) sum += weight(logit);
  double left = random.unit() * sum;
  for (size_t id = 0; id < row.size(); ++id) {
    left -= weight(row[id]);
    if (left < 0) return static_cast<int64_t>(id);
  }
  return best - row.begin();  // rounding ate the last weights
}

}  // namespace kvbench
