#include "kernels/ragged_attention_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/checks_torch.h"
#include "kernels/ragged_attention.h"

namespace kvbench {
namespace {

void check_attention(const at::Tensor& query, at::TensorList keys, at::TensorList values,
                     const at::Tensor& starts, const at::Tensor& lengths, int64_t window) {
  TORCH_CHECK(query.dim() == 4, "query: expected [S, m, Hq, d], got ", query.sizes());
  const auto n_sequences = query.size(0);
  TORCH_CHECK(static_cast<int64_t>(keys.size()) == n_sequences &&
                  static_cast<int64_t>(values.size()) == n_sequences,
              "expected keys and values of ", n_sequences, " sequences, got ", keys.size(), " and ",
              values.size());
  check_segments(starts, lengths, n_sequences, query.device());
  check_buffers(keys, "keys", query, query.size(3));
  check_buffers(values, "values", query, query.size(3));
  TORCH_CHECK(starts.size(1) > 0 && query.size(2) % starts.size(1) == 0, "query heads ",
              query.size(2), " are not a multiple of KV heads ", starts.size(1));
  TORCH_CHECK(window >= 0, "window: expected 0 or more tokens, got ", window);
}

at::Tensor ragged_attention_on_cpu(const at::Tensor& query, at::TensorList keys,
                                   at::TensorList values, const at::Tensor& starts,
                                   const at::Tensor& lengths, double scale, int64_t window) {
  check_attention(query, keys, values, starts, lengths, window);
  check_bounds(keys, starts, lengths, query.size(1));
  check_bounds(values, starts, lengths, query.size(1));
  const at::Tensor contiguous = query.contiguous();
  at::Tensor out = at::empty_like(contiguous);
  std::vector<const void*> key_pointers, value_pointers;
  for (const auto& k : keys) key_pointers.push_back(k.const_data_ptr());
  for (const auto& v : values) value_pointers.push_back(v.const_data_ptr());
  RaggedAttention op;
  op.shape = {query.size(0), query.size(1), query.size(2), starts.size(1), query.size(3)};
  op.dtype = dtype_of(query);
  op.scale = static_cast<float>(scale);
  op.window = window;
  op.query = contiguous.const_data_ptr();
  op.keys = key_pointers.data();
  op.values = value_pointers.data();
  op.starts = starts.const_data_ptr<int64_t>();
  op.lengths = lengths.const_data_ptr<int64_t>();
  op.out = out.mutable_data_ptr();
  ragged_attention_cpu(op);
  return out;
}

}  // namespace

at::Tensor ragged_attention_composite(const at::Tensor& query, at::TensorList keys,
                                      at::TensorList values, const at::Tensor& starts,
                                      const at::Tensor& lengths, double scale, int64_t window) {
  check_attention(query, keys, values, starts, lengths, window);
  const auto start = host(starts), length = host(lengths);
  const int64_t m = query.size(1), n_heads = starts.size(1), group = query.size(2) / n_heads;
  at::Tensor out = at::empty_like(query);
  for (int64_t s = 0; s < query.size(0); ++s) {
    for (int64_t h = 0; h < n_heads; ++h) {
      const int64_t n = length[s * n_heads + h];
      const at::Tensor k = keys[s].narrow(0, start[s * n_heads + h], n).to(at::kFloat);
      const at::Tensor v = values[s].narrow(0, start[s * n_heads + h], n).to(at::kFloat);
      // [group, m, d]
      const at::Tensor q =
          query.select(0, s).narrow(1, h * group, group).transpose(0, 1).to(at::kFloat);
      // Token i sees columns 0 .. n - m + i, of which the last `window`.
      at::Tensor seen = at::ones({m, n}, q.options().dtype(at::kBool)).tril(n - m);
      if (window > 0) seen = seen.triu(n - m - window + 1);
      const at::Tensor mask = seen.logical_not();
      const at::Tensor weights =
          (at::matmul(q, k.t()) * scale).masked_fill(mask, -INFINITY).softmax(-1);
      out.select(0, s).narrow(1, h * group, group).copy_(at::matmul(weights, v).transpose(0, 1));
    }
  }
  return out;
}

at::Tensor ragged_attention(const at::Tensor& query, at::TensorList keys, at::TensorList values,
                            const at::Tensor& starts, const at::Tensor& lengths, double scale,
                            int64_t window) {
  static const auto op = find_operator<decltype(ragged_attention)>("kvbench::ragged_attention");
  return op.call(query, keys, values, starts, lengths, scale, window);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def(
      "ragged_attention(Tensor query, Tensor[] keys, Tensor[] values, Tensor starts, "
      "Tensor lengths, float scale, int window=0) -> Tensor");
}

TORCH_LIBRARY_IMPL(kvbench, CPU, library) {
  library.impl("ragged_attention", ragged_attention_on_cpu);
}

// Devices without a kernel of their own.
TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("ragged_attention", ragged_attention_composite);
}

}  // namespace kvbench
