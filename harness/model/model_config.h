// What a Hugging Face config.json says about a decoder of the Llama family.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kvbench {

// Frequency scaling of Llama 3.1 and later ("rope_type": "llama3"); factor 1 = none.
struct RopeScaling {
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_max_positions = 8192;
};

struct ModelConfig {
  std::string model_type;  // llama, mistral, qwen2, qwen3
  int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0;
  int64_t n_layers = 0, n_heads = 0, n_kv_heads = 0, head_dim = 0;
  int64_t max_positions = 0;  // the sliding window when that is smaller: up to it attention is full
  double rms_norm_eps = 0, rope_theta = 0;
  RopeScaling rope_scaling;
  bool tied_embeddings = false;
  bool qkv_bias = false, output_bias = false, mlp_bias = false;
  bool qk_norm = false;             // RMS norm of every query and key head before RoPE (Qwen3)
  std::string stored_dtype;         // float32, bfloat16, float16
  std::vector<int64_t> end_tokens;  // generation_config.json, else config.json; may be empty

  int64_t gqa_group() const { return n_heads / n_kv_heads; }
};

// Reads MODEL_DIR/config.json in the transformers 4 form (rope_theta, rope_scaling, torch_dtype) or
// the 5 form (rope_parameters, dtype), and generation_config.json when there is one.
// Throws InputError naming file and key when something is missing, of a wrong type, impossible, or
// asks for an architecture or option that the forward pass does not have.
ModelConfig load_model_config(const std::filesystem::path& model_dir);

}  // namespace kvbench
