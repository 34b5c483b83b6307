#include "kernels/skinny_linear/skinny_linear_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/checks_torch.h"
#include "kernels/skinny_linear/skinny_linear.h"

namespace kvbench {
namespace {

std::vector<int64_t> out_sizes(const at::Tensor& x, const at::Tensor& weight) {
  TORCH_CHECK(x.dim() >= 1 && weight.dim() == 2, "x and weight: expected [..., in] and [out, in], ",
              "got ", x.sizes(), " and ", weight.sizes());
  auto sizes = x.sizes().vec();
  sizes.back() = weight.size(0);
  return sizes;
}

void skinny_linear_on_cpu(const at::Tensor& x, const at::Tensor& weight,
                          const std::optional<at::Tensor>& bias, const at::Tensor& out) {
  TORCH_CHECK(weight.dim() == 2 && weight.is_contiguous(),
              "weight: expected contiguous [out, in], got ", weight.sizes());
  TORCH_CHECK(
      x.dim() >= 1 && x.size(-1) == weight.size(1) && x.scalar_type() == weight.scalar_type(),
      "x: expected ", weight.scalar_type(), " [..., ", weight.size(1), "], got ", x.scalar_type(),
      " ", x.sizes());
  TORCH_CHECK(!bias || (bias->dim() == 1 && bias->size(0) == weight.size(0) &&
                        bias->is_contiguous() && bias->scalar_type() == weight.scalar_type()),
              "bias: expected contiguous ", weight.scalar_type(), " [", weight.size(0), "]");
  const auto sizes = out_sizes(x, weight);
  check_out(out, "out", sizes, x, x.scalar_type());
  const at::Tensor rows = x.contiguous();
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
}

// LibTorch's product with no bias of its own, for which it would take scratch memory in every call.
void skinny_linear_elsewhere(const at::Tensor& x, const at::Tensor& weight,
                             const std::optional<at::Tensor>& bias, const at::Tensor& out) {
  const auto sizes = out_sizes(x, weight);
  check_out(out, "out", sizes, x, x.scalar_type());
  const at::Tensor rows = x.reshape({-1, x.size(-1)}), weights = weight.t();
  at::Tensor products = out.view({rows.size(0), weight.size(0)});
  if (bias) {
    products.copy_(bias->expand_as(products));
    products.addmm_(rows, weights);
  } else {
    at::mm_out(products, rows, weights);
  }
}

at::Tensor skinny_linear_of(const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias) {
  at::Tensor out = at::empty(out_sizes(x, weight), x.options());
  skinny_linear_out(x, weight, bias, out);
  return out;
}

}  // namespace

at::Tensor skinny_linear(const at::Tensor& x, const at::Tensor& weight,
                         const std::optional<at::Tensor>& bias) {
  static const auto op = find_operator<decltype(skinny_linear)>("kvbench::skinny_linear");
  return op.call(x, weight, bias);
}

void skinny_linear_out(const at::Tensor& x, const at::Tensor& weight,
                       const std::optional<at::Tensor>& bias, const at::Tensor& out) {
  static const auto op =
      find_operator<decltype(skinny_linear_out)>("kvbench::skinny_linear", "out");
  op.call(x, weight, bias, out);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def("skinny_linear(Tensor x, Tensor weight, Tensor? bias) -> Tensor");
  library.def("skinny_linear.out(Tensor x, Tensor weight, Tensor? bias, *, Tensor(a!) out) -> ()");
}

TORCH_LIBRARY_IMPL(kvbench, CPU, library) {
  library.impl("skinny_linear", skinny_linear_of);
  library.impl("skinny_linear.out", skinny_linear_on_cpu);
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("skinny_linear", skinny_linear_of);
  library.impl("skinny_linear.out", skinny_linear_elsewhere);
}

}  // namespace kvbench
