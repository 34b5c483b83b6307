// The optional third part of a policy, between ranking and selection.
#pragma once

#include <vector>

#include "policies/scorer.h"

namespace kvbench {

// Changes a layer's scores once its keep counts are known: what a method does between ranking and
// selection (CriticalKV).
class Weighting {
 public:
  static const char* kind() { return "weighting"; }
  virtual ~Weighting() = default;

  // New scores, float32 [H, T], of which the counts[h] highest of each head are kept.
  virtual at::Tensor weigh(const LayerView& layer, const at::Tensor& scores,
                           const std::vector<int64_t>& counts) const = 0;
};

#define KVB_REGISTER_WEIGHTING(NAME, CLASS, DOC) \
  KVB_REGISTER(::kvbench::Weighting, NAME, CLASS, DOC)

}  // namespace kvbench
