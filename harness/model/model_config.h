// What a Hugging Face config.json says about a decoder of the Llama family or Gemma 3.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kvbench {

// How the frequencies of RoPE are stretched for long contexts ("rope_type"); rope.h has the
// formulas. A field that a type does not use keeps its default.
struct RopeScaling {
  enum class Type { kNone, kLinear, kDynamic, kYarn, kLlama3 };
  Type type = Type::kNone;
  double factor = 1;
  // Positions the model was trained on before it was stretched: yarn, llama3, dynamic.
  int64_t original_max_positions = 0;
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  double beta_fast = 32, beta_slow = 1;              // yarn: rotations
  bool truncate = true;                              // yarn: whole dimensions
  double attention_factor = 1;                       // yarn: factor of cos and sin
};

enum class Activation { kSilu, kGeluTanh };

struct ModelConfig {
  std::string model_type;  // llama, mistral, qwen2, qwen3, gemma3_text
  int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0;
  int64_t n_layers = 0, n_heads = 0, n_kv_heads = 0, head_dim = 0;
  int64_t max_positions = 0;
  // Of each layer: 0 = full attention, else the sliding window in tokens: the query at position p
  // sees the keys at p - window + 1 to p.
  std::vector<int64_t> windows;
  double rms_norm_eps = 0;
  double rope_theta = 0;        // of layers with full attention, and of all but Gemma 3's others
  double local_rope_theta = 0;  // of Gemma 3's windowed layers (never scaled); else rope_theta
  RopeScaling rope_scaling;     // of the layers that use rope_theta
  Activation activation = Activation::kSilu;
  double attention_scale = 0;   // factor of query times key: 1 / sqrt(head_dim), or as Gemma 3 says
  double embedding_scale = 1;   // factor of embeddings; transformers rounds it to the model's dtype
  bool norm_plus_one = false;   // norms multiply by 1 + weight, in float32 before rounding (Gemma)
  bool sandwich_norms = false;  // norms behind attention and MLP too, four a layer (Gemma 3)
  bool qk_norm = false;         // RMS norm of every query and key head before RoPE (Qwen3, Gemma 3)
  bool tied_embeddings =
      false;  // no head of its own; by what the file holds once resolve_by_file ran
  // As config.json says; by what the file holds once resolve_by_file ran.
  bool qkv_bias = false, output_bias = false, mlp_bias = false;
  // Names in the file: weight_prefix + "embed_tokens.weight", "norm.weight", "layers.0. ...".
  std::string weight_prefix = "model.", head_name = "lm_head.weight";  // resolve_by_file sets both
  std::string stored_dtype;  // float32, bfloat16 or float16; "": that of the stored embedding
  std::vector<int64_t> end_tokens;  // generation_config.json, else config.json; may be empty

  int64_t gqa_group() const { return n_heads / n_kv_heads; }
  // RoPE of layer l uses local_rope_theta.
  bool local_rope(int64_t l) const { return windows[l] > 0 && local_rope_theta != rope_theta; }
};

// Reads MODEL_DIR/config.json in the transformers 4 form (rope_theta, rope_scaling, torch_dtype) or
// the 5 form (rope_parameters, dtype), and generation_config.json when there is one. Of a Gemma 3
// with pictures (model_type gemma3) the text part. A missing key has the default that transformers
// 5.2 gives it. Throws InputError naming file and key when something is missing, of a wrong type,
// impossible, contradictory, or asks for an architecture or option that the forward pass does not
// have.
ModelConfig load_model_config(const std::filesystem::path& model_dir);

}  // namespace kvbench
