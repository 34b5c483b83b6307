#include "harness/model/linear.h"

#include <ATen/ATen.h>

#include "kernels/common/checks_torch.h"
#include "kernels/skinny_linear/skinny_linear.h"
#include "kernels/skinny_linear/skinny_linear_torch.h"

namespace kvbench {

Linear::Linear(at::Tensor weight, at::Tensor bias)
    : weight_(std::move(weight)), bias_(std::move(bias)) {}

void Linear::operator()(const at::Tensor& x, const at::Tensor& out) const {
  skinny_linear_out(x, weight_, bias_.defined() ? std::optional(bias_) : std::nullopt, out);
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  const int64_t n_tokens = x.dim() == 2 ? 1 : x.size(-2);
  const auto bias = bias_.defined() ? std::optional(bias_) : std::nullopt;
  if (n_tokens <= kFewTokens || (x.is_cpu() && skinny_linear_suits_many_rows(dtype_of(x)))) {
    return skinny_linear(x, weight_, bias);
  }
  if (x.size(0) == 1) return at::linear(x, weight_, bias);
  std::vector<at::Tensor> of_sequences;
  for (const at::Tensor& sequence : x.split(1)) {
    of_sequences.push_back(at::linear(sequence, weight_, bias));
  }
  return at::cat(of_sequences);
}

}  // namespace kvbench
