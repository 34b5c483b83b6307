#include "harness/engine/next_token.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <stdexcept>

namespace kvbench {

std::vector<std::optional<int64_t>> most_likely(const at::Tensor& logits) {
  const at::Tensor host = logits.to(at::kCPU).contiguous();
  std::vector<std::optional<int64_t>> ids;
  for (int64_t s = 0; s < host.size(0); ++s) {
    const std::span row(host.const_data_ptr<float>() + s * host.size(1),
                        static_cast<size_t>(host.size(1)));
    // std::max_element meets a NaN in the first place only.
    if (std::any_of(row.begin(), row.end(), [](float x) { return std::isnan(x); })) {
      ids.emplace_back();
    } else {
      ids.emplace_back(std::max_element(row.begin(), row.end()) - row.begin());
    }
  }
  return ids;
}

int64_t sample_token(const at::Tensor& logits, double temperature, Random& random) {
  const at::Tensor host = logits.to(at::kCPU).contiguous();
  const auto best = most_likely(host.unsqueeze(0))[0];
  if (!best) throw std::runtime_error("a logit of the next token is NaN");
  if (temperature == 0) return *best;
  const std::span row(host.const_data_ptr<float>(), static_cast<size_t>(host.numel()));
  const auto highest = static_cast<double>(row[static_cast<size_t>(*best)]);
  const auto weight = [&](float logit) {
    return std::exp((static_cast<double>(logit) - highest) / temperature);
  };
  double sum = 0;
  for (const float logit : row) sum += weight(logit);
  double left = random.unit() * sum;
  for (size_t id = 0; id < row.size(); ++id) {
    left -= weight(row[id]);
    if (left < 0) return static_cast<int64_t>(id);
  }
  return *best;  // rounding ate the last weights
}

}  // namespace kvbench
