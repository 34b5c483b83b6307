// A projection's weights, stored as the device multiplies by them fastest.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// x W^T + b. On a CPU the weight is packed for oneDNN once, when it is made: LibTorch's own product
// packs it again in every call, which costs most where there are few rows, in decode steps
// (linear_bench). Elsewhere, and for dtypes that this CPU has no instructions for, it is
// LibTorch's.
class Linear {
 public:
  // kLikeLibTorch: LibTorch multiplies bfloat16 by oneDNN itself, but not float32, where another
  // order of sums in a prefill would move values away from those of the peers by 4e-5 of a layer's
  // largest. So more than kFewTokens float32 tokens of a sequence are LibTorch's: both forms of the
  // weight are held. How many sequences there are does not count: what one gets should not hang on
  // the others, and many of them cost 2.3 times less packed.
  enum class Rounding { kLikeLibTorch, kAny };
  static constexpr int64_t kFewTokens = 64;

  Linear() = default;
  // weight [out, in], bias [out] or undefined.
  explicit Linear(const at::Tensor& weight, at::Tensor bias = {},
                  Rounding rounding = Rounding::kLikeLibTorch);

  // [S, m, in] -> [S, m, out] of m tokens of S sequences; or [S, in] -> [S, out] of one token of
  // each.
  at::Tensor operator()(const at::Tensor& x) const;

  bool is_packed() const { return packed_.defined(); }  // a copy of the weight, then
  int64_t bytes() const;

 private:
  at::Tensor weight_, packed_, bias_;  // weight_ undefined where packed_ serves any number of rows
};

}  // namespace kvbench
