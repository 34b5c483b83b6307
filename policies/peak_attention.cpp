#include "policies/peak_attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

namespace kvbench {

at::Tensor peak_attention(const PeakAttention& attention) {
  constexpr int64_t kLogits = 1 << 22;  // of a block: 16 MiB
  const int64_t n_heads = attention.keys.size(0), group = attention.to_own.size(0) / n_heads;
  const int64_t n_queries = attention.to_own.size(1), d = attention.keys.size(2);
  const int64_t n_sinks = attention.sinks.size(1), n_keys = attention.keys.size(1);
  const at::Tensor others =
      at::cat({attention.sinks, attention.keys}, 1).to(at::kFloat).transpose(1, 2);
  const at::Tensor own = attention.own.to(at::kFloat).transpose(1, 2);
  const int64_t n_most = n_sinks + n_keys + n_queries;
  const int64_t n_block = std::clamp<int64_t>(kLogits / (n_heads * group * n_most), 1, n_queries);
  at::Tensor peaks;  // [H, m]
  for (int64_t first = 0; first < n_queries; first += n_block) {
    const int64_t n = std::min(n_block, n_queries - first), n_own = first + n;
    const auto rows_of = [&](const at::Tensor& queries) {  // [H, G * n, d]
      return (queries.narrow(1, first, n).to(at::kFloat) * attention.scale)
          .reshape({n_heads, group * n, d});
    };
    // Later queries' tokens are not seen: only the square on the diagonal has some of them.
    at::Tensor to_own = at::bmm(rows_of(attention.to_own), own.narrow(2, 0, n_own));
    const at::Tensor future = at::ones({n, n}, to_own.options().dtype(at::kBool)).triu(1);
    to_own.view({n_heads, group, n, n_own})
        .narrow(3, first, n)
        .masked_fill_(future, -std::numeric_limits<float>::infinity());
    at::Tensor weights = at::cat({at::bmm(rows_of(attention.to_others), others), to_own}, 2)
                             .softmax(-1)
                             .narrow(2, n_sinks, n_keys)
                             .view({n_heads, group, n, n_keys});
    if (attention.query_weights.defined()) {
      weights = weights * attention.query_weights.narrow(0, first, n).unsqueeze(1);
    }
    if (attention.key_weights.defined()) {
      weights = weights * attention.key_weights.view({n_heads, group, 1, n_keys});
    }
    const at::Tensor of_block = weights.amax({1, 2});
    peaks = peaks.defined() ? at::maximum(peaks, of_block) : of_block;
  }
  return peaks;
}

}  // namespace kvbench
