#include "kernels/cache_rows/cache_append_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/cache_rows/cache_append.h"
#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"

namespace kvbench {
namespace {

TokenRows token_rows(const at::Tensor& rows) {
  return {rows.const_data_ptr(), rows.stride(0), rows.stride(1), rows.stride(2)};
}

void cache_append_of(const at::Tensor& keys, const at::Tensor& values,
                     const at::Tensor& cached_keys, const at::Tensor& cached_values,
                     const at::Tensor& starts, const at::Tensor& lengths) {
  TORCH_CHECK(keys.dim() == 4 && values.sizes() == keys.sizes() &&
                  values.scalar_type() == keys.scalar_type(),
              "keys and values: expected one form [S, m, H, d], got ", keys.scalar_type(), " ",
              keys.sizes(), " and ", values.scalar_type(), " ", values.sizes());
  CacheAppend op;
  op.cache = ragged_cache(cached_keys, cached_values, starts, lengths);
  TORCH_CHECK(keys.size(0) == op.cache.n_sequences && keys.size(2) == op.cache.n_kv_heads &&
                  keys.size(3) == op.cache.head_dim &&
                  keys.scalar_type() == cached_keys.scalar_type(),
              "keys: expected ", cached_keys.scalar_type(), " [", op.cache.n_sequences, ", m, ",
              op.cache.n_kv_heads, ", ", op.cache.head_dim, "], got ", keys.scalar_type(), " ",
              keys.sizes());
  if (!served_by_cuda(keys.device())) check_rows(op.cache, keys.size(1));
  const at::Tensor key_rows = with_whole_rows(keys), value_rows = with_whole_rows(values);
  op.n_tokens = keys.size(1);
  op.keys = token_rows(key_rows);
  op.values = token_rows(value_rows);
  launch(KVB_IMPLEMENTATIONS(cache_append), op, keys.device());
}

}  // namespace

void cache_append(const at::Tensor& keys, const at::Tensor& values, const at::Tensor& cached_keys,
                  const at::Tensor& cached_values, const at::Tensor& starts,
                  const at::Tensor& lengths) {
  static const auto op = find_operator<decltype(cache_append)>("kvbench::cache_append");
  op.call(keys, values, cached_keys, cached_values, starts, lengths);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def(
      "cache_append(Tensor keys, Tensor values, Tensor(a!) cached_keys, Tensor(b!) cached_values, "
      "Tensor starts, Tensor lengths) -> ()");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("cache_append", cache_append_of);
}

}  // namespace kvbench
