// A projection's weights and how they multiply.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// x W^T + b, so that what one sequence gets depends neither on the others beside it nor on the
// number of threads. On a CPU, up to kFewTokens tokens of a sequence go through our own product,
// whose sums have one order; more of them too where it is the faster one, else they are multiplied
// by LibTorch, a sequence at a time.
class Linear {
 public:
  static constexpr int64_t kFewTokens = 64;

  Linear() = default;
  // weight [out, in], shared with whoever else holds it; bias [out] or undefined.
  explicit Linear(at::Tensor weight, at::Tensor bias = {});

  // [S, m, in] -> [S, m, out] of m tokens of S sequences; or [S, in] -> [S, out] of one token of
  // each.
  at::Tensor operator()(const at::Tensor& x) const;

  // The same of up to kFewTokens tokens of a sequence into `out`, contiguous.
  void operator()(const at::Tensor& x, const at::Tensor& out) const;

  const at::Tensor& weight() const { return weight_; }
  const at::Tensor& bias() const { return bias_; }

 private:
  at::Tensor weight_, bias_;
};

}  // namespace kvbench
