#include "kernels/packed_linear/packed_linear_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/checks_torch.h"
#include "kernels/packed_linear/packed_linear.h"

namespace kvbench {
namespace {

std::vector<int64_t> out_sizes(const at::Tensor& x, int64_t n_out) {
  TORCH_CHECK(x.dim() >= 1, "x: expected [..., in], got ", x.sizes());
  auto sizes = x.sizes().vec();
  sizes.back() = n_out;
  return sizes;
}

// [panels, n_in padded, kPanel], of n_in inputs.
void check_packed(const at::Tensor& packed, int64_t n_in) {
  TORCH_CHECK(packed.dim() == 3 && packed.size(2) == PackedForm::kPanel && packed.is_contiguous() &&
                  packed.size(1) == PackedForm(dtype_of(packed)).padded(n_in),
              "packed: expected the packed weight of ", n_in, " inputs, got ", packed.sizes());
}

// Whether rows of `dtype` can be multiplied with the packed weight, or be read out of it.
bool fits(const at::Tensor& packed, at::ScalarType dtype) {
  return packed.scalar_type() == dtype ||
         (packed.scalar_type() == at::kBFloat16 && dtype == at::kFloat);
}

at::Tensor pack_on_cpu(const at::Tensor& weight) {
  TORCH_CHECK(weight.dim() == 2, "weight: expected [out, in], got ", weight.sizes());
  const DType dtype = dtype_of(weight);
  const at::Tensor rows = weight.contiguous();
  const int64_t n_out = rows.size(0), n_in = rows.size(1);
  const DType packed_as = packed_dtype(rows.const_data_ptr(), rows.numel(), dtype);
  at::Tensor packed = at::empty(
      {PackedForm::n_panels(n_out), PackedForm(packed_as).padded(n_in), PackedForm::kPanel},
      packed_as == DType::kBFloat16 ? rows.options().dtype(at::kBFloat16) : rows.options());
  pack_weight_cpu(rows.const_data_ptr(), n_out, n_in, dtype, packed_as, packed.mutable_data_ptr());
  return packed;
}

void packed_linear_on_cpu(const at::Tensor& x, const at::Tensor& packed, int64_t n_out,
                          const std::optional<at::Tensor>& bias, const at::Tensor& out) {
  const auto sizes = out_sizes(x, n_out);
  TORCH_CHECK(fits(packed, x.scalar_type()), "x: expected ", packed.scalar_type(), ", got ",
              x.scalar_type());
  check_packed(packed, x.size(-1));
  TORCH_CHECK(packed.size(0) == PackedForm::n_panels(n_out), "n_out: ", n_out, " outputs of ",
              packed.size(0), " panels");
  TORCH_CHECK(!bias || (bias->dim() == 1 && bias->size(0) == n_out && bias->is_contiguous() &&
                        bias->scalar_type() == x.scalar_type()),
              "bias: expected contiguous ", x.scalar_type(), " [", n_out, "]");
  check_out(out, "out", sizes, x, x.scalar_type());
  const at::Tensor rows = x.contiguous();
  PackedLinear op;
  op.n_in = x.size(-1);
  op.n_out = n_out;
  op.n_rows = op.n_in == 0 ? 0 : rows.numel() / op.n_in;
  op.dtype = dtype_of(x);
  op.weight_dtype = dtype_of(packed);
  op.x = rows.const_data_ptr();
  op.weight = packed.const_data_ptr();
  op.bias = bias ? bias->const_data_ptr() : nullptr;
  op.out = out.mutable_data_ptr();
  packed_linear_cpu(op);
}

at::Tensor packed_linear_of(const at::Tensor& x, const at::Tensor& packed, int64_t n_out,
                            const std::optional<at::Tensor>& bias) {
  at::Tensor out = at::empty(out_sizes(x, n_out), x.options());
  packed_linear_out(x, packed, n_out, bias, out);
  return out;
}

void packed_rows_on_cpu(const at::Tensor& packed, const at::Tensor& ids, const at::Tensor& out) {
  TORCH_CHECK(ids.dim() == 1 && ids.scalar_type() == at::kLong, "ids: expected int64 [n], got ",
              ids.scalar_type(), " ", ids.sizes());
  TORCH_CHECK(out.dim() == 2, "out: expected [n, in], got ", out.sizes());
  check_packed(packed, out.size(1));
  TORCH_CHECK(fits(packed, out.scalar_type()), "out: expected ", packed.scalar_type(), ", got ",
              out.scalar_type());
  check_out(out, "out", {ids.size(0), out.size(1)}, packed, out.scalar_type());
  const at::Tensor in_order = ids.contiguous();
  const auto* id = in_order.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < ids.size(0); ++i) {
    TORCH_CHECK(id[i] >= 0 && id[i] < packed.size(0) * PackedForm::kPanel, "id ", id[i],
                " is outside the weight");
  }
  packed_rows_cpu(packed.const_data_ptr(), out.size(1), dtype_of(packed), id, ids.size(0),
                  dtype_of(out), out.mutable_data_ptr());
}

}  // namespace

at::Tensor pack_weight(const at::Tensor& weight) {
  static const auto op = find_operator<decltype(pack_weight)>("kvbench::pack_weight");
  return op.call(weight);
}

at::Tensor packed_linear(const at::Tensor& x, const at::Tensor& packed, int64_t n_out,
                         const std::optional<at::Tensor>& bias) {
  static const auto op = find_operator<decltype(packed_linear)>("kvbench::packed_linear");
  return op.call(x, packed, n_out, bias);
}

void packed_linear_out(const at::Tensor& x, const at::Tensor& packed, int64_t n_out,
                       const std::optional<at::Tensor>& bias, const at::Tensor& out) {
  static const auto op =
      find_operator<decltype(packed_linear_out)>("kvbench::packed_linear", "out");
  op.call(x, packed, n_out, bias, out);
}

void packed_rows_out(const at::Tensor& packed, const at::Tensor& ids, const at::Tensor& out) {
  static const auto op = find_operator<decltype(packed_rows_out)>("kvbench::packed_rows", "out");
  op.call(packed, ids, out);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def("pack_weight(Tensor weight) -> Tensor");
  library.def("packed_linear(Tensor x, Tensor packed, int n_out, Tensor? bias) -> Tensor");
  library.def(
      "packed_linear.out(Tensor x, Tensor packed, int n_out, Tensor? bias, *, Tensor(a!) out) -> "
      "()");
  library.def("packed_rows.out(Tensor packed, Tensor ids, *, Tensor(a!) out) -> ()");
}

TORCH_LIBRARY_IMPL(kvbench, CPU, library) {
  library.impl("pack_weight", pack_on_cpu);
  library.impl("packed_linear", packed_linear_of);
  library.impl("packed_linear.out", packed_linear_on_cpu);
  library.impl("packed_rows.out", packed_rows_on_cpu);
}

}  // namespace kvbench
