#include "kernels/projected_value_norms/projected_value_norms_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"
#include "kernels/projected_value_norms/projected_value_norms.h"

namespace kvbench {
namespace {

at::Tensor projected_value_norms_of(const at::Tensor& values, const at::Tensor& output_weight,
                                    int64_t p) {
  check_head_rows(values, "values");
  TORCH_CHECK(p == 1 || p == 2, "p: expected 1 or 2, got ", p);
  const int64_t n_heads = values.size(0), d = values.size(2);
  TORCH_CHECK(output_weight.dim() == 2 && output_weight.size(1) % (n_heads * d) == 0 &&
                  output_weight.scalar_type() == values.scalar_type() &&
                  output_weight.device() == values.device(),
              "output_weight: expected ", values.scalar_type(), " [D, Hq * ", d,
              "], Hq a multiple of ", n_heads, ", got ", output_weight.scalar_type(), " ",
              output_weight.sizes());
  const at::Tensor rows = with_whole_rows(values), weight = output_weight.contiguous();
  ProjectedValueNorms op;
  op.n_heads = n_heads;
  op.n_query_heads = weight.size(1) / d;
  op.n_rows = values.size(1);
  op.head_dim = d;
  op.hidden = weight.size(0);
  op.dtype = dtype_of(values);
  op.p = static_cast<int>(p);
  op.values = head_rows(rows);
  op.output_weight = weight.const_data_ptr();
  at::Tensor out = at::empty({p == 2 ? op.n_query_heads : n_heads, op.n_rows},
                             values.options().dtype(at::kFloat));
  op.out = out.mutable_data_ptr<float>();
  launch(KVB_IMPLEMENTATIONS(projected_value_norms), op, values.device());
  return out;
}

}  // namespace

at::Tensor projected_value_norms(const at::Tensor& values, const at::Tensor& output_weight,
                                 int64_t p) {
  static const auto op =
      find_operator<decltype(projected_value_norms)>("kvbench::projected_value_norms");
  return op.call(values, output_weight, p);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def("projected_value_norms(Tensor values, Tensor output_weight, int p) -> Tensor");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("projected_value_norms", projected_value_norms_of);
}

}  // namespace kvbench
