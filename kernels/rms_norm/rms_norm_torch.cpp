#include "kernels/rms_norm/rms_norm_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"
#include "kernels/rms_norm/rms_norm.h"

namespace kvbench {
namespace {

void rms_norm_into(const at::Tensor& x, const at::Tensor& weight, double eps,
                   const std::optional<at::Tensor>& residual, const at::Tensor& out) {
  TORCH_CHECK(x.dim() >= 1, "x: expected [..., n], got ", x.sizes());
  check_norm_weight(weight, "weight", x, x.size(-1));
  TORCH_CHECK(
      !residual || (residual->sizes() == x.sizes() && residual->is_contiguous() &&
                    residual->scalar_type() == x.scalar_type() && residual->device() == x.device()),
      "residual: expected contiguous ", x.scalar_type(), " ", x.sizes());
  check_out(out, "out", x.sizes(), x, x.scalar_type());
  const at::Tensor rows = x.contiguous();
  RmsNorm op;
  op.n_columns = x.size(-1);
  op.n_rows = op.n_columns == 0 ? 0 : x.numel() / op.n_columns;
  op.dtype = dtype_of(x);
  op.weight_dtype = dtype_of(weight);
  op.eps = static_cast<float>(eps);
  op.x = rows.const_data_ptr();
  op.weight = weight.const_data_ptr();
  op.residual = residual ? residual->mutable_data_ptr() : nullptr;
  op.out = out.mutable_data_ptr();
  launch(KVB_IMPLEMENTATIONS(rms_norm), op, x.device());
}

at::Tensor rms_norm_of(const at::Tensor& x, const at::Tensor& weight, double eps,
                       const std::optional<at::Tensor>& residual) {
  at::Tensor out = at::empty(x.sizes(), x.options());
  rms_norm_into(x, weight, eps, residual, out);
  return out;
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps,
                    const std::optional<at::Tensor>& residual) {
  static const auto op = find_operator<decltype(rms_norm)>("kvbench::rms_norm");
  return op.call(x, weight, eps, residual);
}

void rms_norm_out(const at::Tensor& x, const at::Tensor& weight, double eps,
                  const std::optional<at::Tensor>& residual, const at::Tensor& out) {
  static const auto op = find_operator<decltype(rms_norm_out)>("kvbench::rms_norm", "out");
  op.call(x, weight, eps, residual, out);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def("rms_norm(Tensor x, Tensor weight, float eps, Tensor(a!)? residual=None) -> Tensor");
  library.def(
      "rms_norm.out(Tensor x, Tensor weight, float eps, Tensor(a!)? residual=None, *, "
      "Tensor(b!) out) -> ()");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("rms_norm", rms_norm_of);
  library.impl("rms_norm.out", rms_norm_into);
}

}  // namespace kvbench
