#include "harness/engine/next_token.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
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

namespace {

// The ids that the draw is among, ascending: the fewest whose weights are `top_p` of `sum`.
std::vector<size_t> nucleus(const std::vector<double>& weights, double sum, double top_p) {
  std::vector<size_t> ids;
  // All that are lighter are less than 1 - top_p together.
  const double least = top_p < 1 ? (1 - top_p) * sum / static_cast<double>(weights.size()) : 0;
  for (size_t id = 0; id < weights.size(); ++id) {
    if (weights[id] >= least) ids.push_back(id);
  }
  if (top_p == 1) return ids;
  std::stable_sort(ids.begin(), ids.end(),
                   [&](size_t a, size_t b) { return weights[a] > weights[b]; });
  double reached = 0;
  size_t n = 0;
  while (n < ids.size() && reached < top_p * sum) reached += weights[ids[n++]];
  ids.resize(n);
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace

int64_t sample_token(const at::Tensor& logits, const Sampling& sampling, Random& random) {
  const at::Tensor host = logits.to(at::kCPU).contiguous();
  const auto best = most_likely(host.unsqueeze(0))[0];
  if (!best) throw std::runtime_error("a logit of the next token is NaN");
  if (sampling.temperature == 0) return *best;
  const std::span row(host.const_data_ptr<float>(), static_cast<size_t>(host.numel()));
  const auto highest = static_cast<double>(row[static_cast<size_t>(*best)]);
  std::vector<double> weights;
  weights.reserve(row.size());
  for (const float logit : row) {
    weights.push_back(std::exp((static_cast<double>(logit) - highest) / sampling.temperature));
  }
  const std::vector<size_t> ids =
      nucleus(weights, std::accumulate(weights.begin(), weights.end(), 0.0), sampling.top_p);
  double left = 0;
  for (const size_t id : ids) left += weights[id];
  left *= random.unit();
  for (const size_t id : ids) {
    left -= weights[id];
    if (left < 0) return static_cast<int64_t>(id);
  }
  return *best;  // rounding ate the last weights
}

}  // namespace kvbench
