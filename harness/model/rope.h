// Rotary position embedding in the half-split form of the Llama family.
#pragma once

#include <ATen/core/Tensor.h>

#include <mutex>

#include "harness/model/model_config.h"

namespace kvbench {

// How far position t turns the pair (x_i, x_{i + d/2}): by t * f_i. The f_i, i in [0, d/2), float32
// on the CPU, computed in float32 in the order of transformers 5.2 (modeling_rope_utils.py) so that
// they are the same to the bit:
//   none    theta^(-2i/d)
//   linear  that / factor
//   dynamic theta grows with the sequence (NTK): theta * (factor * T / T0 - factor + 1)^(d/(d-2)),
//           T = the sequence's length or T0 = the model's positions where that is more
//   yarn    below beta_slow rotations within the original positions / factor, above beta_fast
//           unchanged, in between blended by dimension (arXiv 2309.00071)
//   llama3  wavelengths above original / low_freq_factor / factor, those below original /
//           high_freq_factor unchanged, in between blended by wavelength
// local: those of Gemma 3's windowed layers. sequence_length: positions up to and with the last
// token of this forward pass; only dynamic scaling looks at it, and only where it is more than the
// model's positions.
at::Tensor inverse_frequencies(const ModelConfig& config, bool local, int64_t sequence_length);

// Those of sequences at these positions (int64 [S, m]): [d/2] where all have the same, [S, d/2]
// under dynamic scaling, each by its own last position, so that no sequence changes another.
at::Tensor inverse_frequencies(const ModelConfig& config, bool local, const at::Tensor& positions);

// What cos and sin are multiplied by: 1 but for yarn. Not for local ones, where it is 1.
double rope_attention_factor(const ModelConfig& config);

struct RopeAngles {
  at::Tensor cos, sin;  // float32 [S, m, 1, d/2], on the device of the positions
};

// positions: int64 [S, m]; inverse_frequencies [d/2], or of each sequence [S, d/2] where dynamic
// scaling makes them differ. An angle is the float32 product of position and frequency; its cosine
// and sine are rounded from double one by one, so that a row's values do not depend on its company
// (a vectorised cosine and its scalar tail differ in the last bit). The host computes them: it
// waits for positions that lie on a device.
RopeAngles rope_angles(const at::Tensor& positions, const at::Tensor& inverse_frequencies,
                       double attention_factor);

// The same angles where one set of frequencies serves all positions: computed once by the host, to
// be looked up by the device that holds the positions, which nobody waits for.
class RopeTable {
 public:
  RopeTable(at::Tensor inverse_frequencies, double attention_factor, c10::Device device);

  // Those of the positions below `end`, or of more: cos and sin float32 [n, d/2], a row a position.
  // Threads may ask at once.
  RopeAngles rows(int64_t end) const;

 private:
  RopeAngles computed(int64_t n) const;

  at::Tensor frequencies_;
  double attention_factor_;
  c10::Device device_;
  mutable std::mutex growing_;
  mutable RopeAngles rows_;  // [n, d/2], of the positions below n
};

}  // namespace kvbench
