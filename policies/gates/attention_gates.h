// Gates that see all of a context's tokens at once and say, before a layer's attention, which of
// them each KV head evicts: the class of Attention-Gate (arXiv 2410.12876). Of that no code is
// published; from its abstract and reviews come the shape (a small attention-like module a layer
// over the hidden states of all tokens, a flag per token and head by a sigmoid against a threshold,
// the layer's attention runs on what is left) and the training (harness/toolchain/
// train_attention_gate.py). The formula below and all sizes are ours.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>

#include "policies/gates/gate_file.h"

namespace kvbench {

class AttentionGates {
 public:
  // Of a safetensors file with, for each layer l of full attention, r wide,
  //   layers.l.q_proj.weight, .k_proj.weight, .v_proj.weight [H r, D],
  //   .o_proj.weight [H, r], .o_proj.bias [H]
  // Throws InputError as GateFile does, and when shapes do not go together.
  explicit AttentionGates(const std::filesystem::path& path) : layers_(read(GateFile(path))) {}

  // Throws InputError unless they were made for a model of this shape.
  void require_model(const ModelShape& model) const { layers_.require_model(model); }

  // How open the gates are, in (0, 1), float32 [H, T] for the hidden states [T, D] of a whole
  // context (LayerView::hidden_states), in float32:
  //   q, k, v = Wq x, Wk x, Wv x   of each head, r wide
  //   open_t = sigmoid(o . (v_t + sum over all tokens s of softmax_s(q_t . k_s / sqrt(r)) v_s) + b)
  at::Tensor scores(int64_t layer, const at::Tensor& hidden_states) const;

 private:
  static GateLayers read(const GateFile& file);

  GateLayers layers_;
};

}  // namespace kvbench
