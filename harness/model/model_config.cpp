#include "harness/model/model_config.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/base/error.h"
#include "harness/base/names.h"

namespace kvbench {
namespace {

using nlohmann::json;

json read_json(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in)
    throw_input_error("{}: cannot be read; expected a Hugging Face model folder", file.string());
  try {
    json content = json::parse(in);
    if (!content.is_object()) throw_input_error("{}: expected a JSON object", file.string());
    return content;
  } catch (const json::parse_error& e) {
    throw_input_error("{}: not valid JSON: {}", file.string(), e.what());
  }
}

// Typed, bounded access to one JSON object; null counts as absent, as transformers writes it.
class Fields {
 public:
  Fields(std::string place, const json& object) : place_(std::move(place)), object_(object) {}

  bool has(const char* key) const { return object_.contains(key) && !object_[key].is_null(); }

  // Sizes are untrusted: the upper bound keeps products of them far from overflow.
  int64_t size(const char* key, int64_t low = 1, int64_t high = int64_t{1} << 24) const {
    const json& value = required(key);
    if (!value.is_number_integer()) fail(key, "an integer");
    const auto number = value.get<int64_t>();
    if (number < low || number > high) fail(key, fmt::format("{} to {}", low, high).c_str());
    return number;
  }
  int64_t size_or(const char* key, int64_t fallback) const {
    return has(key) ? size(key) : fallback;
  }
  double positive(const char* key) const {
    const json& value = required(key);
    if (!value.is_number() || !(value.get<double>() > 0) || !std::isfinite(value.get<double>())) {
      fail(key, "a positive number");
    }
    return value.get<double>();
  }
  bool flag(const char* key, bool fallback) const {
    if (!has(key)) return fallback;
    if (!object_[key].is_boolean()) fail(key, "true or false");
    return object_[key].get<bool>();
  }
  std::string text(const char* key, const std::string& fallback) const {
    if (!has(key)) return fallback;
    if (!object_[key].is_string()) fail(key, "a string");
    return object_[key].get<std::string>();
  }
  Fields object(const char* key) const {
    if (!required(key).is_object()) fail(key, "an object");
    return {place_ + ": " + key, object_[key]};
  }
  const json& required(const char* key) const {
    if (!has(key)) throw_input_error("{}: \"{}\" is missing", place_, key);
    return object_[key];
  }
  [[noreturn]] void fail(const char* key, const char* expected) const {
    throw_input_error("{}: \"{}\": expected {}, got {}", place_, key, expected,
                      object_[key].dump().substr(0, 80));
  }

 private:
  std::string place_;
  const json& object_;
};

// rope_parameters (transformers 5) holds theta and scaling together; 4 has rope_theta beside
// rope_scaling, whose type key was once "type".
void read_rope(const Fields& config, ModelConfig& out) {
  const bool form5 = config.has("rope_parameters");
  const bool scaled = form5 || config.has("rope_scaling");
  out.rope_theta = form5 && config.object("rope_parameters").has("rope_theta")
                       ? config.object("rope_parameters").positive("rope_theta")
                   : config.has("rope_theta") ? config.positive("rope_theta")
                                              : 10000.0;
  if (!scaled) return;
  const char* key = form5 ? "rope_parameters" : "rope_scaling";
  const Fields rope = config.object(key);
  const std::string type = rope.text("rope_type", rope.text("type", "default"));
  if (type == "default") return;
  if (type != "llama3") {
    config.fail(key, "rope_type default or llama3 (others are not supported)");
  }
  out.rope_scaling.factor = rope.positive("factor");
  out.rope_scaling.low_freq_factor = rope.positive("low_freq_factor");
  out.rope_scaling.high_freq_factor = rope.positive("high_freq_factor");
  out.rope_scaling.original_max_positions = rope.size("original_max_position_embeddings");
  if (out.rope_scaling.high_freq_factor <= out.rope_scaling.low_freq_factor) {
    config.fail(key, "high_freq_factor above low_freq_factor");
  }
}

std::vector<int64_t> read_end_tokens(const Fields& fields) {
  if (!fields.has("eos_token_id")) return {};
  const json& value = fields.required("eos_token_id");
  std::vector<int64_t> ids;
  for (const auto& id : value.is_array() ? value : json::array({value})) {
    if (!id.is_number_integer()) fields.fail("eos_token_id", "an integer or a list of integers");
    ids.push_back(id.get<int64_t>());
  }
  return ids;
}

void check_shapes(const std::string& place, const ModelConfig& c) {
  if (c.n_heads % c.n_kv_heads != 0) {
    throw_input_error("{}: {} attention heads are not a multiple of {} key/value heads", place,
                      c.n_heads, c.n_kv_heads);
  }
  if (c.head_dim % 2 != 0 || c.head_dim > 1024) {
    throw_input_error("{}: head size {}: expected an even number up to 1024", place, c.head_dim);
  }
}

}  // namespace

ModelConfig load_model_config(const std::filesystem::path& model_dir) {
  const auto file = model_dir / "config.json";
  const json content = read_json(file);
  const Fields config(file.string(), content);
  ModelConfig out;
  out.model_type = config.text("model_type", "");
  const std::vector<std::string> known = {"llama", "mistral", "qwen2", "qwen3"};
  if (std::find(known.begin(), known.end(), out.model_type) == known.end()) {
    throw_input_error("{}: {}", file.string(), unknown_name("model_type", out.model_type, known));
  }
  if (const auto act = config.text("hidden_act", "silu"); act != "silu") {
    config.fail("hidden_act", "silu (others are not supported)");
  }
  if (config.has("quantization_config")) {
    throw_input_error(
        "{}: quantization_config: quantised weights are not supported; use the "
        "float16, bfloat16 or float32 checkpoint",
        file.string());
  }
  out.vocab_size = config.size("vocab_size");
  out.hidden_size = config.size("hidden_size");
  out.intermediate_size = config.size("intermediate_size");
  out.n_layers = config.size("num_hidden_layers", 1, 10000);
  out.n_heads = config.size("num_attention_heads", 1, 65536);
  out.n_kv_heads = config.size_or("num_key_value_heads", out.n_heads);
  out.head_dim = config.size_or("head_dim", out.hidden_size / out.n_heads);
  out.max_positions = config.size("max_position_embeddings", 1, int64_t{1} << 31);
  out.rms_norm_eps = config.positive("rms_norm_eps");
  read_rope(config, out);

  // Qwen2 has projection biases without saying so; a config of its family that does says so.
  out.qkv_bias = config.flag("attention_bias", out.model_type == "qwen2");
  out.output_bias = out.model_type != "qwen2" && config.flag("attention_bias", false);
  out.mlp_bias = config.flag("mlp_bias", false);
  out.qk_norm = out.model_type == "qwen3";
  out.tied_embeddings = config.flag("tie_word_embeddings", false);
  // Qwen writes a window that it does not use unless use_sliding_window says so.
  const bool windowed = config.has("sliding_window") &&
                        config.flag("use_sliding_window", out.model_type == "mistral");
  if (windowed) out.max_positions = std::min(out.max_positions, config.size("sliding_window"));
  out.stored_dtype = config.text("dtype", config.text("torch_dtype", "float32"));
  out.end_tokens = read_end_tokens(config);
  check_shapes(file.string(), out);

  const auto generation = model_dir / "generation_config.json";
  if (std::filesystem::exists(generation)) {
    const json content2 = read_json(generation);
    const Fields fields(generation.string(), content2);
    if (fields.has("eos_token_id")) out.end_tokens = read_end_tokens(fields);
  }
  return out;
}

}  // namespace kvbench
