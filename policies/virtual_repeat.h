// A repeat of a chunk as it would be, told from the prefill: echo (kvpress, EchoPress;
// decode_policies.md 7).
#pragma once

#include "policies/repeats.h"

namespace kvbench {

// What repeat_scores() would say of the chunk if the repeat's tokens had the prefill's own queries
// q_i and keys k_i, turned to where they would stand, and its request and tail did not count:
// of chunk [s, e), q'_i = q_i turned by T + n_before - s positions,
//   score_j = max over i and the group of exp(q'_i k_j) / (sum of exp(q'_i k) over the first
//             min(sinks, s) tokens and the chunk + sum of exp(q_i k) over the chunk up to i).
// `layer` is one of the prefill. float32 [H, e - s].
at::Tensor virtual_repeat_scores(const LayerView& layer, const Repeat& repeat, int64_t sinks);

// Each row of values [R, n] by linear interpolation from the sorted source [R, m] to the sorted
// target [R, m], m > 0, clamped to their ends. float32.
at::Tensor quantile_map(const at::Tensor& source, const at::Tensor& target,
                        const at::Tensor& values);

}  // namespace kvbench
