#include "harness/model/linear.h"

#include <ATen/ATen.h>

#include <optional>

#include "kernels/packed_linear/packed_linear_torch.h"

namespace kvbench {

Linear::Linear(const at::Tensor& weight, at::Tensor bias)
    : n_in_(weight.size(1)),
      n_out_(weight.size(0)),
      dtype_(weight.scalar_type()),
      weight_(weight.is_cpu() ? pack_weight(weight) : weight),
      bias_(std::move(bias)) {}

void Linear::operator()(const at::Tensor& x, const at::Tensor& out) const {
  if (weight_.is_cpu()) {
    const auto bias = bias_.defined() ? std::optional(bias_) : std::nullopt;
    return packed_linear_out(x, weight_, n_out_, bias, out);
  }
  const at::Tensor rows = x.reshape({-1, n_in_}), weights = weight_.t();
  at::Tensor products = out.view({rows.size(0), n_out_});
  if (bias_.defined()) {  // not a product with a bias, which takes scratch memory in every call
    products.copy_(bias_.expand_as(products));
    products.addmm_(rows, weights);
  } else {
    at::mm_out(products, rows, weights);
  }
}

void Linear::rows(const at::Tensor& ids, const at::Tensor& out) const {
  if (weight_.is_cpu()) return packed_rows_out(weight_, ids, out);
  at::Tensor rows = out;
  at::index_select_out(rows, weight_, 0, ids);
}

at::Tensor Linear::weight() const {
  if (!weight_.is_cpu()) return weight_;
  const at::Tensor all = at::empty({n_out_, n_in_}, weight_.options().dtype(dtype_));
  packed_rows_out(weight_, at::arange(n_out_, at::kLong), all);
  return all;
}

int64_t Linear::n_bytes() const {
  const auto of_bias = bias_.defined() ? static_cast<int64_t>(bias_.nbytes()) : 0;
  return n_in_ * n_out_ * static_cast<int64_t>(weight_.element_size()) + of_bias;
}

}  // namespace kvbench
