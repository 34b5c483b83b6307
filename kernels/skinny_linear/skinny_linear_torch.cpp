#include "kernels/skinny_linear/skinny_linear_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/checks_torch.h"
#include "kernels/skinny_linear/skinny_linear.h"

namespace kvbench {
namespace {

at::Tensor skinny_linear_on_cpu(const at::Tensor& x, const at::Tensor& weight,
                                const std::optional<at::Tensor>& bias) {
  TORCH_CHECK(weight.dim() == 2 && weight.is_contiguous(),
              "weight: expected contiguous [out, in], got ", weight.sizes());
  TORCH_CHECK(
      x.dim() >= 1 && x.size(-1) == weight.size(1) && x.scalar_type() == weight.scalar_type(),
      "x: expected ", weight.scalar_type(), " [..., ", weight.size(1), "], got ", x.scalar_type(),
      " ", x.sizes());
  TORCH_CHECK(!bias || (bias->dim() == 1 && bias->size(0) == weight.size(0) &&
                        bias->is_contiguous() && bias->scalar_type() == weight.scalar_type()),
              "bias: expected contiguous ", weight.scalar_type(), " [", weight.size(0), "]");
  const at::Tensor rows = x.contiguous();
  auto sizes = x.sizes().vec();
  sizes.back() = weight.size(0);
  at::Tensor out = at::empty(sizes, x.options());
  SkinnyLinear op;
  op.n_in = weight.size(1);
  op.n_out = weight.size(0);
  op.n_rows = op.n_in == 0 ? 0 : rows.numel() / op.n_in;
  op.dtype = dtype_of(weight);
  op.x = rows.const_data_ptr();
  op.weight = weight.const_data_ptr();
  op.bias = bias ? bias->const_data_ptr() : nullptr;
  op.out = out.mutable_data_ptr();
  skinny_linear_cpu(op);
  return out;
}

}  // namespace

at::Tensor skinny_linear(const at::Tensor& x, const at::Tensor& weight,
                         const std::optional<at::Tensor>& bias) {
  static const auto op = find_operator<decltype(skinny_linear)>("kvbench::skinny_linear");
  return op.call(x, weight, bias);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def("skinny_linear(Tensor x, Tensor weight, Tensor? bias) -> Tensor");
}

TORCH_LIBRARY_IMPL(kvbench, CPU, library) { library.impl("skinny_linear", skinny_linear_on_cpu); }

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("skinny_linear",
               [](const at::Tensor& x, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias) { return at::linear(x, weight, bias); });
}

}  // namespace kvbench
