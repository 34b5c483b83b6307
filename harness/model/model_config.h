// What a Hugging Face config.json says about a decoder of the Llama family or Gemma 3.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "policies/scorer.h"

namespace kvbench {

// How the frequencies of RoPE are stretched for long contexts ("rope_type"); rope.h has the
// formulas. A field that a type does not use keeps its default.
struct RopeScaling {
  enum class Type { kNone, kLinear, kDynamic, kYarn, kLlama3 };

  bool operator==(const RopeScaling&) const = default;

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
  // max_position_embeddings, or what it is stretched to by linear, dynamic or yarn scaling.
  int64_t max_positions = 0;
  // Of each layer: 0 = full attention, else the sliding window in tokens: the query at position p
  // sees the keys at p - window + 1 to p.
  std::vector<int64_t> windows;
  double rms_norm_eps = 0;
  double rope_theta = 0;
  RopeScaling rope_scaling;
  double local_rope_theta = 0;  // of Gemma 3's windowed layers, which are not scaled; else 0
  Activation activation = Activation::kSilu;
  double attention_scale = 0;   // factor of query times key: 1 / sqrt(head_dim), or as Gemma 3 says
  double embedding_scale = 1;   // factor of embeddings; transformers rounds it to the model's dtype
  bool norm_plus_one = false;   // norms multiply by 1 + weight, in float32 before rounding (Gemma)
  bool sandwich_norms = false;  // norms behind attention and MLP too, four a layer (Gemma 3)
  bool qk_norm = false;         // RMS norm of every query and key head before RoPE (Qwen3, Gemma 3)
  // As config.json says; as the file has it once resolve_by_file (file_layout.h) ran.
  bool tied_embeddings = false;
  bool qkv_bias = false, output_bias = false, mlp_bias = false;
  // Where the file has them: the layers are weight_prefix + "layers.0. ...", the last norm is
  // weight_prefix + "norm.weight". head_name is embedding_name where they are tied.
  std::string weight_prefix = "model.";
  std::string embedding_name = "model.embed_tokens.weight", head_name = "lm_head.weight";
  std::string stored_dtype;  // float32, bfloat16 or float16; "": that of the stored embedding
  std::vector<int64_t> end_tokens;  // generation_config.json, else config.json; may be empty

  int64_t gqa_group() const { return n_heads / n_kv_heads; }
  // What policies see of it.
  ModelShape shape() const { return {n_budgeted_layers(), n_kv_heads, n_heads, hidden_size}; }
  // Policies budget the layers of full attention; a windowed layer keeps what its window sees.
  // Where every layer is windowed all are budgeted, and prompts with their answers stay within the
  // window unless nothing is removed: a cut cache does not know what its window has passed.
  bool windowed_throughout() const;
  bool is_budgeted(int64_t l) const { return windows[l] == 0 || windowed_throughout(); }
  int64_t n_budgeted_layers() const;
  // Keys (as many values) that all layers and KV heads hold of n_tokens tokens: n_kept in a
  // budgeted layer, in another those that the next token sees.
  int64_t n_cached(int64_t n_tokens, int64_t n_kept) const;
  // Where the cache holds layer l: the budgeted ones first, then the others.
  std::vector<int64_t> cache_slots() const;
  // Tokens that a prompt with its answer may have, and what sets that limit, as text.
  int64_t most_tokens(bool compressed = true) const;
  std::string token_limit(bool compressed = true) const;
  // Whether layer l turns by local_rope_theta.
  bool local_rope(int64_t l) const { return local_rope_theta > 0 && windows[l] > 0; }
};

// Reads MODEL_DIR/config.json in the transformers 4 form (rope_theta, rope_scaling, torch_dtype) or
// the 5 form (rope_parameters, dtype), and generation_config.json when there is one. Of a Gemma 3
// with pictures (model_type gemma3) the text part. A missing key has the default that transformers
// 5.2 gives it. Throws InputError naming file and key when something is missing, of a wrong type,
// impossible, contradictory, or asks for an architecture or option that the forward pass does not
// have.
ModelConfig load_model_config(const std::filesystem::path& model_dir);

}  // namespace kvbench
