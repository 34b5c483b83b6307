#include "harness/engine/next_token.h"

#include <ATen/ATen.h>

#include <cmath>
#include <span>
#include <stdexcept>

#include "kernels/argmax/argmax_torch.h"
#include "kernels/common/host_torch.h"

namespace kvbench {

std::vector<std::optional<int64_t>> most_likely(const at::Tensor& logits) {
  std::vector<std::optional<int64_t>> ids;
  for (const int64_t id : host_values(argmax_lowest(logits))) {
    ids.push_back(id < 0 ? std::nullopt : std::optional(id));
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
