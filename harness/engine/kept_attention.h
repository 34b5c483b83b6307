// Attention of a prefill whose layers are cut before it: the tokens that a head evicts are attended
// to by no other (Policy::attends_kept()).
#pragma once

#include <ATen/core/Tensor.h>

#include "policies/kept.h"
#include "policies/scorer.h"

namespace kvbench {

// As causal_attention() of the layer's queries, keys and values, [T, Hq, d] of their dtype, but a
// token attends only to the tokens that its KV head keeps, up to and with itself, and to itself in
// any case. Positions must ascend in a head. Sums are float32, row block by row block, over what
// was kept before its end alone.
at::Tensor kept_attention(const LayerView& layer, const KeptTokens& kept);

}  // namespace kvbench
