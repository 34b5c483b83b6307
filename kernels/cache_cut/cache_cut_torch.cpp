#include "kernels/cache_cut/cache_cut_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/cache_cut/cache_cut.h"
#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"

namespace kvbench {
namespace {

// Every row read and written is there. Only the host's own memory can be looked at without a wait.
void check_rows(const CacheCut& op, int64_t n_rows) {
  TORCH_CHECK(op.offsets[0] == 0 && op.offsets[op.n_kv_heads] <= op.n_positions,
              "offsets must run from 0 to at most the number of positions, ", op.n_positions);
  for (int64_t h = 0; h < op.n_kv_heads; ++h) {
    TORCH_CHECK(op.offsets[h] <= op.offsets[h + 1] && op.starts[h] >= 0, "KV head ", h,
                ": expected offsets that do not fall and a row to start at, got ", op.offsets[h],
                ", ", op.offsets[h + 1], " and row ", op.starts[h]);
    int64_t least = 0;
    for (int64_t i = op.offsets[h]; i < op.offsets[h + 1]; ++i) {
      const int64_t position = op.positions[i];
      TORCH_CHECK_INDEX(position >= least && position < n_rows - op.starts[h], "KV head ", h,
                        ": kept position ", position, " is none of ", least, " to ",
                        n_rows - op.starts[h] - 1, "; positions ascend");
      least = position + 1;
    }
  }
}

at::Tensor cache_cut_of(const at::Tensor& positions, const at::Tensor& offsets,
                        const at::Tensor& starts, at::Tensor& keys, at::Tensor& values,
                        at::Tensor& lengths) {
  TORCH_CHECK(keys.dim() == 2 && keys.is_contiguous() && values.is_contiguous() &&
                  values.sizes() == keys.sizes() && values.scalar_type() == keys.scalar_type() &&
                  values.device() == keys.device(),
              "keys and values: expected one contiguous form [rows, d], got ", keys.scalar_type(),
              " ", keys.sizes(), " and ", values.scalar_type(), " ", values.sizes());
  const int64_t n_heads = starts.numel();
  check_index(positions, "positions", at::kInt, {positions.numel()}, keys.device());
  check_index(offsets, "offsets", at::kInt, {n_heads + 1}, keys.device());
  check_index(starts, "starts", at::kLong, {n_heads}, keys.device());
  check_index(lengths, "lengths", at::kLong, {n_heads}, keys.device());
  at::Tensor source_row = at::empty_like(positions);
  CacheCut op;
  op.n_kv_heads = n_heads;
  op.head_dim = keys.size(1);
  op.element_bytes = static_cast<int64_t>(keys.element_size());
  op.positions = positions.const_data_ptr<int32_t>();
  op.offsets = offsets.const_data_ptr<int32_t>();
  op.n_positions = positions.numel();
  op.starts = starts.const_data_ptr<int64_t>();
  op.keys = keys.mutable_data_ptr();
  op.values = values.mutable_data_ptr();
  op.lengths = lengths.mutable_data_ptr<int64_t>();
  op.source_row = source_row.mutable_data_ptr<int32_t>();
  if (!served_by_cuda(keys.device())) check_rows(op, keys.size(0));
  launch(KVB_IMPLEMENTATIONS(cache_cut), op, keys.device());
  return source_row;
}

}  // namespace

at::Tensor cache_cut(const at::Tensor& positions, const at::Tensor& offsets,
                     const at::Tensor& starts, at::Tensor& keys, at::Tensor& values,
                     at::Tensor& lengths) {
  static const auto op = find_operator<decltype(cache_cut)>("kvbench::cache_cut");
  return op.call(positions, offsets, starts, keys, values, lengths);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def(
      "cache_cut(Tensor positions, Tensor offsets, Tensor starts, Tensor(a!) keys, Tensor(b!) "
      "values, Tensor(c!) lengths) -> Tensor");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("cache_cut", cache_cut_of);
}

}  // namespace kvbench
