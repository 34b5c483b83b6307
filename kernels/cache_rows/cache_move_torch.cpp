#include "kernels/cache_rows/cache_move_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/cache_rows/cache_move.h"
#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"

namespace kvbench {
namespace {

void check_buffers(const at::Tensor& keys, const at::Tensor& values, const at::Tensor& like,
                   const char* name) {
  for (const auto* rows : {&keys, &values}) {
    TORCH_CHECK(rows->dim() == 2 && rows->is_contiguous() && rows->sizes() == keys.sizes() &&
                    rows->size(1) == like.size(1) && rows->scalar_type() == like.scalar_type() &&
                    rows->device() == like.device(),
                name, ": expected two contiguous ", like.scalar_type(), " [rows, ", like.size(1),
                "] on ", like.device(), ", got ", rows->scalar_type(), " ", rows->sizes(), " on ",
                rows->device());
  }
}

void cache_move_of(const at::Tensor& keys, const at::Tensor& values, at::IntArrayRef from_rows,
                   at::IntArrayRef to_rows, at::IntArrayRef n_rows, at::Tensor& out_keys,
                   at::Tensor& out_values) {
  TORCH_CHECK(keys.dim() == 2, "keys: expected [rows, d], got ", keys.sizes());
  check_buffers(keys, values, keys, "keys and values");
  check_buffers(out_keys, out_values, keys, "outputs");
  TORCH_CHECK(from_rows.size() == n_rows.size() && to_rows.size() == n_rows.size(),
              "from_rows, to_rows, n_rows: expected as many of each, got ", from_rows.size(), ", ",
              to_rows.size(), ", ", n_rows.size());
  std::vector<CacheMove::Head> heads;
  for (size_t h = 0; h < n_rows.size(); ++h) {
    const int64_t n = n_rows[h];
    TORCH_CHECK(n >= 0 && from_rows[h] >= 0 && from_rows[h] <= keys.size(0) - n &&
                    to_rows[h] >= 0 && to_rows[h] <= out_keys.size(0) - n,
                "head ", h, ": ", n, " rows from row ", from_rows[h], " of ", keys.size(0),
                " to row ", to_rows[h], " of ", out_keys.size(0));
    heads.push_back({from_rows[h], to_rows[h], n});
  }
  CacheMove op;
  op.row_bytes = keys.size(1) * static_cast<int64_t>(keys.element_size());
  op.keys = keys.const_data_ptr();
  op.values = values.const_data_ptr();
  op.out_keys = out_keys.mutable_data_ptr();
  op.out_values = out_values.mutable_data_ptr();
  op.heads = heads;
  launch(KVB_IMPLEMENTATIONS(cache_move), op, keys.device());
}

}  // namespace

void cache_move(const at::Tensor& keys, const at::Tensor& values, at::IntArrayRef from_rows,
                at::IntArrayRef to_rows, at::IntArrayRef n_rows, at::Tensor& out_keys,
                at::Tensor& out_values) {
  static const auto op = find_operator<decltype(cache_move)>("kvbench::cache_move");
  op.call(keys, values, from_rows, to_rows, n_rows, out_keys, out_values);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def(
      "cache_move(Tensor keys, Tensor values, int[] from_rows, int[] to_rows, int[] n_rows, "
      "Tensor(a!) out_keys, Tensor(b!) out_values) -> ()");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("cache_move", cache_move_of);
}

}  // namespace kvbench
