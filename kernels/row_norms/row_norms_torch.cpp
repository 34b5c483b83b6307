#include "kernels/row_norms/row_norms_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"
#include "kernels/row_norms/row_norms.h"

namespace kvbench {
namespace {

at::Tensor row_norms_of(const at::Tensor& rows, int64_t p) {
  check_head_rows(rows, "rows");
  TORCH_CHECK(p == 1 || p == 2, "p: expected 1 or 2, got ", p);
  const at::Tensor whole = with_whole_rows(rows);
  at::Tensor out = at::empty({rows.size(0), rows.size(1)}, rows.options().dtype(at::kFloat));
  RowNorms op;
  op.n_heads = rows.size(0);
  op.n_rows = rows.size(1);
  op.head_dim = rows.size(2);
  op.dtype = dtype_of(rows);
  op.p = static_cast<int>(p);
  op.rows = head_rows(whole);
  op.out = out.mutable_data_ptr<float>();
  launch(KVB_IMPLEMENTATIONS(row_norms), op, rows.device());
  return out;
}

}  // namespace

at::Tensor row_norms(const at::Tensor& rows, int64_t p) {
  static const auto op = find_operator<decltype(row_norms)>("kvbench::row_norms");
  return op.call(rows, p);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) { library.def("row_norms(Tensor rows, int p) -> Tensor"); }

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("row_norms", row_norms_of);
}

}  // namespace kvbench
