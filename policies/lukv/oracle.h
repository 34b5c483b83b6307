// Oracle importance: what the tokens of a context turn out to be worth to the tokens generated
// after it. policies.md 4.1. It is gathered a decode step at a time
// (kernels/oracle_step/oracle_step.h).
#pragma once

#include "policies/scorer.h"

namespace kvbench::lukv {

enum class OracleNorm {
  kLayer,  // value norms divided by their sum over the layer's query heads and tokens (+ 1e-9)
  kNone,   // plain norms: deep layers with large values take more of the budget
};

// What a unit of attention to each context token moves in the residual stream, float32 [Hq, T]:
// ||W_O^(q) V_j||_2, W_O^(q) = columns [q d, (q + 1) d) of the output matrix.
at::Tensor value_norms(const LayerView& layer, OracleNorm norm);

}  // namespace kvbench::lukv
