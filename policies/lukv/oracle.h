// Oracle importance: what the tokens of a context turn out to be worth to the tokens generated
// after it. policies.md 4.1. Accumulated a decode step at a time; no [T, T] matrix is ever made.
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

// One decode step: importance[h, j] becomes the maximum of itself and
// max over the group's query heads q of a[q, j] * norms[q, j], a the float32 softmax over all n
// keys, of which the first T are the context's. importance: float32 [H, T], 0 at the start;
// query: [Hq, d] after RoPE; keys: [H, n, d], n >= T; norms: [Hq, T].
void add_decode_step(at::Tensor importance, const at::Tensor& query, const at::Tensor& keys,
                     const at::Tensor& norms, double attention_scale);

}  // namespace kvbench::lukv
