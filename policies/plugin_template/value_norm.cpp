// A policy of your own, outside this tree: a scorer in a shared library.
//
//   policies/plugin_template/build.sh value_norm.cpp        makes value_norm.so
//
// and in a sweep
//
//   plugins: [./value_norm.so]
//   policies:
//     - {name: value_norm, scorer: {name: value_norm, power: 2}, allocator: uniform}
//
// `./kvbench check-policy '{scorer: value_norm, allocator: uniform}' --plugin ./value_norm.so`
// checks it in seconds, `./kvbench list scorers -v --plugin ./value_norm.so` shows its parameters.
// An allocator works the same way, with KVB_REGISTER_ALLOCATOR; p.file() reads a parameter that
// names a file. A new kvbench may need it built anew, and says so.
#include <ATen/ATen.h>

#include "policies/scorer.h"

namespace {

// Keeps the tokens with the largest values: s_j = ||V_j||^power.
class ValueNorm : public kvbench::Scorer {
 public:
  explicit ValueNorm(kvbench::Params& p) {
    p.get("power", power_, "exponent of the norm");
    p.require_range("power", power_, 0.1, 10);
  }

  // layer.values is [H, T, d] in the model's dtype; the result is float32 [H, T], higher = keep.
  at::Tensor score(const kvbench::LayerView& layer) const override {
    return layer.values.to(at::kFloat).norm(2, {-1}).pow(power_);
  }

 private:
  double power_ = 1;
};

KVB_REGISTER_SCORER("value_norm", ValueNorm, "norm of a token's value");

}  // namespace
