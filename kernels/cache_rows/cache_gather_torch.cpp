#include "kernels/cache_rows/cache_gather_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/cache_rows/cache_gather.h"
#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"

namespace kvbench {
namespace {

// Every row read and written is there. Only the host's own memory can be looked at without a wait.
void check_rows(const CacheGather& op, int64_t n_positions) {
  TORCH_CHECK(op.offsets[0] == 0 && op.offsets[op.n_kv_heads] <= n_positions,
              "offsets must run from 0 to at most the number of positions, ", n_positions);
  for (int64_t h = 0; h < op.n_kv_heads; ++h) {
    const int64_t count = op.offsets[h + 1] - op.offsets[h];
    TORCH_CHECK(count >= 0 && op.starts[h] >= 0 && op.starts[h] <= op.n_rows - count, "KV head ", h,
                ": ", count, " rows from row ", op.starts[h], " on do not fit ", op.n_rows,
                " rows");
  }
  for (int64_t i = 0; i < op.offsets[op.n_kv_heads]; ++i) {
    TORCH_CHECK_INDEX(op.positions[i] >= 0 && op.positions[i] < op.n_tokens, "kept position ",
                      op.positions[i], " is outside a context of ", op.n_tokens, " tokens");
  }
}

void cache_gather_of(const at::Tensor& keys, const at::Tensor& values, const at::Tensor& positions,
                     const at::Tensor& offsets, const at::Tensor& starts, at::Tensor& out_keys,
                     at::Tensor& out_values) {
  TORCH_CHECK(keys.dim() == 3 && values.sizes() == keys.sizes() &&
                  values.scalar_type() == keys.scalar_type(),
              "keys and values: expected one form [H, T, d], got ", keys.scalar_type(), " ",
              keys.sizes(), " and ", values.scalar_type(), " ", values.sizes());
  for (const auto* out : {&out_keys, &out_values}) {
    TORCH_CHECK(out->dim() == 2 && out->size(1) == keys.size(2) && out->is_contiguous() &&
                    out->sizes() == out_keys.sizes() && out->scalar_type() == keys.scalar_type() &&
                    out->device() == keys.device(),
                "outputs: expected contiguous ", keys.scalar_type(), " [rows, ", keys.size(2),
                "], got ", out->scalar_type(), " ", out->sizes());
  }
  const int64_t n_heads = keys.size(0);
  check_index(positions, "positions", at::kInt, {positions.numel()}, keys.device());
  check_index(offsets, "offsets", at::kInt, {n_heads + 1}, keys.device());
  check_index(starts, "starts", at::kLong, {n_heads}, keys.device());
  const at::Tensor key_rows = with_whole_rows(keys), value_rows = with_whole_rows(values);
  CacheGather op;
  op.n_kv_heads = n_heads;
  op.n_tokens = keys.size(1);
  op.head_dim = keys.size(2);
  op.element_bytes = static_cast<int64_t>(keys.element_size());
  op.n_rows = out_keys.size(0);
  op.keys = head_rows(key_rows);
  op.values = head_rows(value_rows);
  op.positions = positions.const_data_ptr<int32_t>();
  op.offsets = offsets.const_data_ptr<int32_t>();
  op.starts = starts.const_data_ptr<int64_t>();
  op.out_keys = out_keys.mutable_data_ptr();
  op.out_values = out_values.mutable_data_ptr();
  if (!served_by_cuda(keys.device())) check_rows(op, positions.numel());
  launch(KVB_IMPLEMENTATIONS(cache_gather), op, keys.device());
}

}  // namespace

void cache_gather(const at::Tensor& keys, const at::Tensor& values, const at::Tensor& positions,
                  const at::Tensor& offsets, const at::Tensor& starts, at::Tensor& out_keys,
                  at::Tensor& out_values) {
  static const auto op = find_operator<decltype(cache_gather)>("kvbench::cache_gather");
  op.call(keys, values, positions, offsets, starts, out_keys, out_values);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def(
      "cache_gather(Tensor keys, Tensor values, Tensor positions, Tensor offsets, Tensor starts, "
      "Tensor(a!) out_keys, Tensor(b!) out_values) -> ()");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("cache_gather", cache_gather_of);
}

}  // namespace kvbench
