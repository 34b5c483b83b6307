#include "harness/model/model_config.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/json_view.h"
#include "harness/base/names.h"

namespace kvbench {
namespace {

// Sizes are untrusted: the upper bound keeps products of them far from overflow.
constexpr int64_t kMostSize = int64_t{1} << 24;

int64_t size(const JsonView& config, const char* key) {
  return config.at(key).integer(1, kMostSize);
}

// rope_parameters (transformers 5) holds theta and scaling together; 4 has rope_theta beside
// rope_scaling, whose type key was once "type".
void read_rope(const JsonView& config, ModelConfig& out) {
  const auto form5 = config.find("rope_parameters");
  auto theta = form5 ? form5->find("rope_theta") : std::nullopt;
  if (!theta) theta = config.find("rope_theta");
  out.rope_theta = theta ? theta->positive() : 10000.0;
  const auto rope = form5 ? form5 : config.find("rope_scaling");
  if (!rope) return;
  const std::string type = rope->text_or("rope_type", rope->text_or("type", "default"));
  if (type == "default") return;
  if (type != "llama3") {
    rope->fail(fmt::format(
        "expected rope_type default or llama3 (others are not supported), got {}", type));
  }
  out.rope_scaling.factor = rope->at("factor").positive();
  out.rope_scaling.low_freq_factor = rope->at("low_freq_factor").positive();
  out.rope_scaling.high_freq_factor = rope->at("high_freq_factor").positive();
  out.rope_scaling.original_max_positions = size(*rope, "original_max_position_embeddings");
  if (out.rope_scaling.high_freq_factor <= out.rope_scaling.low_freq_factor) {
    rope->fail("expected high_freq_factor above low_freq_factor");
  }
}

std::vector<int64_t> read_end_tokens(const JsonView& config) {
  const auto ids = config.find("eos_token_id");
  if (!ids) return {};
  if (ids->value().is_array()) return ids->integers(0, kMostSize);
  return {ids->integer(0, kMostSize)};
}

void check_shapes(const std::string& place, const ModelConfig& c) {
  if (c.n_heads % c.n_kv_heads != 0) {
    throw_input_error("{}: {} attention heads are not a multiple of {} key/value heads", place,
                      c.n_heads, c.n_kv_heads);
  }
  if (c.head_dim < 2 || c.head_dim % 2 != 0 || c.head_dim > 1024) {
    throw_input_error("{}: head size {}: expected an even number from 2 to 1024", place,
                      c.head_dim);
  }
}

}  // namespace

ModelConfig load_model_config(const std::filesystem::path& model_dir) {
  const auto file = model_dir / "config.json";
  const nlohmann::json content = read_json(file);
  const JsonView config(content, file.string());
  ModelConfig out;
  out.model_type = config.text_or("model_type", "");
  const std::vector<std::string> known = {"llama", "mistral", "qwen2", "qwen3"};
  if (std::find(known.begin(), known.end(), out.model_type) == known.end()) {
    config.fail(unknown_name("model_type", out.model_type, known));
  }
  if (config.text_or("hidden_act", "silu") != "silu") {
    config.at("hidden_act").fail_type("silu (others are not supported)");
  }
  if (const auto quantised = config.find("quantization_config")) {
    quantised->fail(
        "quantised weights are not supported; use the float16, bfloat16 or float32 checkpoint");
  }
  out.vocab_size = size(config, "vocab_size");
  out.hidden_size = size(config, "hidden_size");
  out.intermediate_size = size(config, "intermediate_size");
  out.n_layers = config.at("num_hidden_layers").integer(1, 10000);
  out.n_heads = config.at("num_attention_heads").integer(1, 65536);
  out.n_kv_heads = config.integer_or("num_key_value_heads", 1, 65536, out.n_heads);
  out.head_dim = config.integer_or("head_dim", 1, kMostSize, out.hidden_size / out.n_heads);
  out.max_positions = config.at("max_position_embeddings").integer(1, int64_t{1} << 31);
  out.rms_norm_eps = config.at("rms_norm_eps").positive();
  read_rope(config, out);

  // Qwen2 has projection biases without saying so; a config of its family that does says so.
  out.qkv_bias = config.boolean_or("attention_bias", out.model_type == "qwen2");
  out.output_bias = out.model_type != "qwen2" && config.boolean_or("attention_bias", false);
  out.mlp_bias = config.boolean_or("mlp_bias", false);
  out.qk_norm = out.model_type == "qwen3";
  out.tied_embeddings = config.boolean_or("tie_word_embeddings", false);
  // Qwen writes a window that it does not use unless use_sliding_window says so.
  const bool windowed = config.boolean_or("use_sliding_window", out.model_type == "mistral");
  if (windowed) {
    out.max_positions = std::min(
        out.max_positions, config.integer_or("sliding_window", 1, kMostSize, out.max_positions));
  }
  out.stored_dtype = config.text_or("dtype", config.text_or("torch_dtype", "float32"));
  out.end_tokens = read_end_tokens(config);
  check_shapes(file.string(), out);

  const auto generation = model_dir / "generation_config.json";
  if (std::filesystem::exists(generation)) {
    const nlohmann::json more = read_json(generation);
    const JsonView fields(more, generation.string());
    if (fields.find("eos_token_id")) out.end_tokens = read_end_tokens(fields);
  }
  return out;
}

}  // namespace kvbench
