#include "policies/kept.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "harness/base/error.h"
#include "kernels/common/host_torch.h"
#include "kernels/select_top/select_top_torch.h"

namespace kvbench {

std::vector<int64_t> KeptTokens::counts() const {
  std::vector<int64_t> all;
  for (int64_t h = 0; h < n_kv_heads(); ++h) all.push_back(count(h));
  return all;
}

KeptTokens Selection::on_host() const {
  const int64_t n_heads = counts.n_kv_heads();
  const auto values = host_values(at::cat({offsets, invalid, positions}));  // one wait for all
  KeptTokens kept;
  kept.offsets.assign(values.begin(), values.begin() + n_heads + 1);
  for (int64_t h = 0; h < n_heads; ++h) {
    KVB_CHECK(values[n_heads + 1 + h] == 0,
              "a score of KV head {} is NaN, or its keep count impossible", h);
  }
  const auto first = values.begin() + 2 * n_heads + 1;
  kept.positions.assign(first, first + kept.offsets.back());
  return kept;
}

Selection on_device(const KeptTokens& kept, c10::Device device) {
  const auto moved = [&](const std::vector<int64_t>& values) {
    return on_device(at::tensor(values, at::kLong).to(at::kInt), device);
  };
  return {kept.counts(), moved(kept.positions), moved(kept.offsets),
          at::zeros({kept.n_kv_heads()}, at::TensorOptions(at::kInt).device(device))};
}

Selection keep_latest(int64_t n_kv_heads, int64_t n_tokens, int64_t count, c10::Device device) {
  const int64_t n = std::min(count, n_tokens);
  const auto options = at::TensorOptions(at::kInt).device(device);
  return {std::vector<int64_t>(n_kv_heads, n),
          at::arange(n_tokens - n, n_tokens, options).repeat({n_kv_heads}),
          at::arange(n_kv_heads + 1, options).mul_(n), at::zeros({n_kv_heads}, options)};
}

Selection keep_all(int64_t n_kv_heads, int64_t n_tokens, c10::Device device) {
  return keep_latest(n_kv_heads, n_tokens, n_tokens, device);
}

Selection select(const at::Tensor& scores, const KeepCounts& counts, Protection protection) {
  KVB_CHECK(scores.dim() == 2 && scores.size(0) == counts.n_kv_heads(),
            "scores must be [H, T] with H = {} keep counts", counts.n_kv_heads());
  auto [positions, offsets, invalid] = top_positions(
      scores, counts.on(scores.device()), counts.at_most(), protection.sink, protection.recent);
  return {counts, std::move(positions), std::move(offsets), std::move(invalid)};
}

KeptTokens select_top(const at::Tensor& scores, const std::vector<int64_t>& counts,
                      Protection protection) {
  return select(scores, counts, protection).on_host();
}

}  // namespace kvbench
