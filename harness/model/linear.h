// A projection's weights and how they multiply.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// x W^T + b. On a CPU the weight lies as the processor multiplies it (kernels/packed_linear), and
// what a row gets depends neither on the others beside it nor on the number of threads. Elsewhere
// LibTorch multiplies.
class Linear {
 public:
  Linear() = default;
  // weight [out, in], which is copied on a CPU; bias [out] or undefined.
  explicit Linear(const at::Tensor& weight, at::Tensor bias = {});

  // [..., in] -> [..., out], contiguous.
  void operator()(const at::Tensor& x, const at::Tensor& out) const;

  // Rows of the weight, ids int64 [n] below out, into [n, in].
  void rows(const at::Tensor& ids, const at::Tensor& out) const;
  // [out, in]; on a CPU made anew.
  at::Tensor weight() const;

  int64_t n_out() const { return n_out_; }
  // Of the numbers as they lie: two each of float32 ones that bfloat16 holds, on a CPU.
  int64_t n_bytes() const;

 private:
  int64_t n_in_ = 0, n_out_ = 0;
  at::ScalarType dtype_ = at::kFloat;
  at::Tensor weight_, bias_;  // packed on a CPU
};

}  // namespace kvbench
