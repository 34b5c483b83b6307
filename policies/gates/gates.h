// Learned gates: a small network a layer that tells from a token's hidden state what its key and
// value will be worth. The architecture of Fast KVzip (arXiv 2601.17668; kvpress 0.5.5,
// fastkvzip_press.py; decode_policies.md 5).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>

#include "policies/gates/gate_file.h"

namespace kvbench {

class Gates {
 public:
  // Of a safetensors file with, for each layer l of full attention, r wide and with S sinks,
  //   layers.l.q_proj.weight [H G r, D], .q_proj.bias [H G r], .k_proj.weight [H r, D],
  //   .q_norm.weight [r], .k_norm.weight [r], .k_base [H, 1, S, r], .b [H, 1, G]
  // G query heads to a KV head. Throws InputError as GateFile does, and when shapes do not go
  // together.
  explicit Gates(const std::filesystem::path& path) : layers_(read(GateFile(path))) {}

  // Throws InputError unless they were made for a model of this shape.
  void require_model(const ModelShape& model) const { layers_.require_model(model); }

  // Scores in [0, 1] of `hidden_states` [T, D] (LayerView::hidden_states) for n_heads KV heads from
  // `first_head` on, float32 [n_heads, T], each token by itself:
  //   Q = RMSNorm(Wq x + bq) [H, G, r], k = RMSNorm(Wk x) [H, r], in float32, eps 1e-6
  //   score_h = mean over g of 1 / (1 + sum over s of exp(base_hgs - logit_hg))
  //   logit_hg = k_h . Q_hg / sqrt(r) + bias_times b_hg, base_hgs = k_base_hs . Q_hg / sqrt(r)
  at::Tensor scores(int64_t layer, const at::Tensor& hidden_states, int64_t first_head,
                    int64_t n_heads, double bias_times) const;

 private:
  static GateLayers read(const GateFile& file);

  GateLayers layers_;
};

}  // namespace kvbench
