#include "policies/key_redundancy.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/key_similarity/key_similarity_torch.h"

namespace kvbench {
namespace {

// microsoft/G-KV@6db3b2e gkv/utils/compression_score.py:7-63, by rows: no T x T matrix.
at::Tensor raw_means(const at::Tensor& unit) {
  constexpr int64_t kBlock = 256;
  constexpr double kAlike = 0.5;
  const int64_t n_tokens = unit.size(1);
  const at::Tensor column = at::arange(n_tokens, unit.options().dtype(at::kLong));
  at::Tensor sums = at::zeros({unit.size(0), n_tokens}, unit.options());
  for (int64_t first = 0; first < n_tokens; first += kBlock) {
    const int64_t n = std::min(kBlock, n_tokens - first);
    at::Tensor cosines = at::bmm(unit.narrow(1, first, n), unit.transpose(1, 2));  // [H, n, T]
    cosines.narrow(2, first, n).diagonal(0, 1, 2).zero_();
    cosines.scatter_(-1, (cosines.gt(kAlike) * column).amax(-1, /*keepdim=*/true), 0);
    sums += cosines.sum(1);
  }
  return sums / n_tokens;
}

}  // namespace

at::Tensor key_redundancy(const at::Tensor& keys, Redundancy form) {
  if (form == Redundancy::kTriton) return key_similarity(keys);
  const at::Tensor all = keys.to(at::kFloat);
  const at::Tensor unit = all / (all.norm(2, {-1}, /*keepdim=*/true) + 1e-8);
  if (form == Redundancy::kRaw) return raw_means(unit).softmax(-1);
  const at::Tensor dots = at::bmm(unit, unit.sum(1).unsqueeze(-1)).squeeze(-1);
  return ((dots - unit.square().sum(-1)) / keys.size(1)).softmax(-1);
}

}  // namespace kvbench
