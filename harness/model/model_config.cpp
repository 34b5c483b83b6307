#include "harness/model/model_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/json_view.h"
#include "harness/base/names.h"
#include "harness/model/rope_config.h"

namespace kvbench {
namespace {

// Sizes are untrusted: the upper bound keeps products of them far from overflow.
constexpr int64_t kMostSize = int64_t{1} << 24;
constexpr int64_t kMostPositions = int64_t{1} << 31;
constexpr int64_t kDefaultWindow = 4096;  // of every family that has one

// What a missing key means: the defaults of transformers 5.2's configuration classes.
struct Family {
  const char* model_type;
  int64_t vocab_size, hidden_size, intermediate_size, n_layers, n_heads;
  int64_t n_kv_heads;  // 0: as n_heads
  int64_t head_dim;    // 0: hidden_size / n_heads
  int64_t max_positions;
  bool tied_embeddings;
  std::vector<int64_t> end_tokens;
};

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {"llama", 32000, 4096, 11008, 32, 32, 0, 0, 2048, false, {2}},
      {"mistral", 32000, 4096, 14336, 32, 32, 8, 0, 131072, false, {2}},
      {"qwen2", 151936, 4096, 22016, 32, 32, 32, 0, 32768, false, {}},
      {"qwen3", 151936, 4096, 22016, 32, 32, 32, 128, 32768, false, {}},
      {"gemma3_text", 262208, 2304, 9216, 26, 8, 4, 256, 131072, true, {1}},
  };
  return all;
}

const Family& find_family(const JsonView& config) {
  const std::string type = config.text_or("model_type", "");
  std::vector<std::string> known = {"gemma3"};
  for (const auto& family : families()) {
    if (type == family.model_type) return family;
    if (type == "gemma3" && std::string(family.model_type) == "gemma3_text") return family;
    known.emplace_back(family.model_type);
  }
  config.fail(unknown_name("model_type", type, known));
}

// null where transformers tells it from a missing key.
bool says_null(const JsonView& config, const char* key) {
  const auto it = config.value().find(key);
  return it != config.value().end() && it->is_null();
}

Activation read_activation(const JsonView& config, const char* key, const std::string& otherwise) {
  const std::string name = config.text_or(key, otherwise);
  if (name == "silu" || name == "swish") return Activation::kSilu;
  // One formula under four names (transformers' activations.py).
  for (const char* tanh : {"gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu_accurate"}) {
    if (name == tanh) return Activation::kGeluTanh;
  }
  config.at(key).fail_type("silu, swish or gelu_pytorch_tanh (others are not supported)");
}

// The window of the layers that have one, 0 where none has.
int64_t read_window(const JsonView& config, const ModelConfig& model) {
  // Qwen writes a window that it does not use unless use_sliding_window says so.
  if (model.model_type.starts_with("qwen") && !config.boolean_or("use_sliding_window", false)) {
    return 0;
  }
  if (says_null(config, "sliding_window")) {
    if (model.model_type == "gemma3_text") config.at("sliding_window");  // fails: it has no other
    return 0;
  }
  return config.integer_or("sliding_window", 1, kMostPositions, kDefaultWindow);
}

// Whether layer l is full where no layer_types say so: in Gemma 3 the last of every 6, in Qwen
// those before max_window_layers, in Mistral none.
bool is_full_by_rule(const JsonView& config, const ModelConfig& model, int64_t l) {
  if (model.model_type == "gemma3_text") {
    return (l + 1) % config.integer_or("sliding_window_pattern", 1, kMostSize, 6) == 0;
  }
  return model.model_type.starts_with("qwen") &&
         l < config.integer_or("max_window_layers", 0, kMostSize, 28);
}

std::vector<int64_t> read_windows(const JsonView& config, const ModelConfig& model) {
  std::vector<int64_t> windows(static_cast<size_t>(model.n_layers), 0);
  if (model.model_type == "llama") return windows;
  const int64_t window = read_window(config, model);
  const auto types = config.find("layer_types");
  if (types && static_cast<int64_t>(types->size()) != model.n_layers) {
    types->fail(fmt::format("{} layer types for {} layers", types->size(), model.n_layers));
  }
  for (int64_t l = 0; l < model.n_layers; ++l) {
    if (!types) {
      if (!is_full_by_rule(config, model, l)) windows[l] = window;
      continue;
    }
    const JsonView type = (*types)[l];
    if (type.text() == "sliding_attention") {
      if (window == 0) type.fail("sliding_attention, but no sliding_window is set or used");
      windows[l] = window;
    } else if (type.text() != "full_attention") {
      type.fail(unknown_name("layer type", type.text(), {"full_attention", "sliding_attention"}));
    }
  }
  return windows;
}

// "torch.bfloat16" and the short names of torch mean what the long ones mean. float64 is loaded as
// float32, the widest that the forward pass has. "auto" is what the file holds, as no key is.
std::string read_dtype(const JsonView& config) {
  auto key = config.find("dtype");
  if (!key) key = config.find("torch_dtype");
  if (!key) return "";
  std::string name = key->text();
  if (name.starts_with("torch.")) name = name.substr(6);
  if (name == "auto") return "";
  for (const char* same : {"float32", "float", "fp32", "float64", "double"}) {
    if (name == same) return "float32";
  }
  for (const char* same : {"bfloat16", "bf16"}) {
    if (name == same) return "bfloat16";
  }
  for (const char* same : {"float16", "half", "fp16"}) {
    if (name == same) return "float16";
  }
  key->fail_type("float32, bfloat16 or float16");
}

std::vector<int64_t> read_end_tokens(const JsonView& config,
                                     const std::vector<int64_t>& otherwise) {
  const auto ids = config.find("eos_token_id");
  if (!ids) return says_null(config, "eos_token_id") ? std::vector<int64_t>{} : otherwise;
  if (ids->value().is_array()) return ids->integers(0, kMostSize);
  return {ids->integer(0, kMostSize)};
}

void read_sizes(const JsonView& config, const Family& family, ModelConfig& out) {
  const auto size = [&](const char* key, int64_t most, int64_t otherwise) {
    return config.integer_or(key, 1, most, otherwise);
  };
  out.vocab_size = size("vocab_size", kMostSize, family.vocab_size);
  out.hidden_size = size("hidden_size", kMostSize, family.hidden_size);
  out.intermediate_size = size("intermediate_size", kMostSize, family.intermediate_size);
  out.n_layers = size("num_hidden_layers", 10000, family.n_layers);
  out.n_heads = size("num_attention_heads", 65536, family.n_heads);
  const bool kv_stated = family.n_kv_heads != 0 && !says_null(config, "num_key_value_heads");
  out.n_kv_heads = size("num_key_value_heads", 65536, kv_stated ? family.n_kv_heads : out.n_heads);
  const bool dim_stated = family.head_dim != 0 && !says_null(config, "head_dim");
  out.head_dim =
      size("head_dim", kMostSize, dim_stated ? family.head_dim : out.hidden_size / out.n_heads);
  out.max_positions = size("max_position_embeddings", kMostPositions, family.max_positions);
  out.rms_norm_eps = config.find("rms_norm_eps") ? config.at("rms_norm_eps").positive() : 1e-6;
  if (out.n_heads % out.n_kv_heads != 0) {
    config.fail(fmt::format("{} attention heads are not a multiple of {} key/value heads",
                            out.n_heads, out.n_kv_heads));
  }
  if (out.head_dim < 2 || out.head_dim % 2 != 0 || out.head_dim > 1024) {
    config.fail(fmt::format("head size {}: expected an even number from 2 to 1024", out.head_dim));
  }
}

void read_gemma3(const JsonView& config, ModelConfig& out) {
  for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping"}) {
    if (const auto cap = config.find(key)) cap->fail("softcapping is not supported");
  }
  if (config.boolean_or("use_bidirectional_attention", false)) {
    config.at("use_bidirectional_attention").fail("attention to later tokens is not supported");
  }
  const auto scalar = config.find("query_pre_attn_scalar");
  out.attention_scale = 1.0 / std::sqrt(scalar ? scalar->positive() : 256.0);
  out.embedding_scale = std::sqrt(static_cast<double>(out.hidden_size));
  out.norm_plus_one = out.sandwich_norms = true;
}

// Python writes Infinity and NaN, which JSON does not know. As texts they pass where nobody reads
// them and are refused by name where a number is due.
std::string quote_non_finite(const std::string& text) {
  std::string out;
  bool in_text = false;
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = std::string_view(text).substr(i);
    std::string_view word;
    for (const char* name : {"-Infinity", "Infinity", "NaN"}) {
      if (!in_text && word.empty() && rest.starts_with(name)) word = name;
    }
    if (!word.empty()) {
      out += fmt::format("\"{}\"", word);
      i += word.size();
      continue;
    }
    if (in_text && text[i] == '\\' && i + 1 < text.size())
      out += text[i++];
    else if (text[i] == '"')
      in_text = !in_text;
    out += text[i++];
  }
  return out;
}

nlohmann::json read_python_json(const std::filesystem::path& file) {
  return parse_json(quote_non_finite(read_file(file)), file.string());
}

}  // namespace

bool ModelConfig::windowed_throughout() const {
  return std::find(windows.begin(), windows.end(), 0) == windows.end();
}

int64_t ModelConfig::n_budgeted_layers() const {
  return windowed_throughout() ? n_layers : std::count(windows.begin(), windows.end(), 0);
}

int64_t ModelConfig::n_cached(int64_t n_tokens, int64_t n_kept) const {
  int64_t rows = 0;
  for (int64_t l = 0; l < n_layers; ++l) {
    rows += is_budgeted(l) ? n_kept : std::min(n_tokens, windows[l] - 1);
  }
  return rows * n_kv_heads;
}

std::vector<int64_t> ModelConfig::cache_slots() const {
  std::vector<int64_t> slots;
  const bool all = windowed_throughout();
  int64_t budgeted = 0, other = n_budgeted_layers();
  for (const int64_t window : windows) slots.push_back(all || window == 0 ? budgeted++ : other++);
  return slots;
}

int64_t ModelConfig::most_tokens(bool compressed) const {
  if (!compressed || !windowed_throughout()) return max_positions;
  return std::min(max_positions, *std::min_element(windows.begin(), windows.end()));
}

std::string ModelConfig::token_limit(bool compressed) const {
  if (most_tokens(compressed) == max_positions) return fmt::format("{} positions", max_positions);
  return fmt::format("sliding window of {} tokens, which every layer has", most_tokens(compressed));
}

ModelConfig load_model_config(const std::filesystem::path& model_dir) {
  const auto file = model_dir / "config.json";
  const nlohmann::json content = read_python_json(file);
  const JsonView whole(content, file.string());
  const Family& family = find_family(whole);
  // A Gemma 3 with pictures has its text part in a config of its own.
  const bool nested = whole.text_or("model_type", "") == "gemma3";
  const JsonView config = nested ? whole.at("text_config") : whole;
  for (const auto& part : {whole, config}) {
    for (const char* key : {"quantization_config", "compression_config"}) {
      if (const auto quantised = part.find(key)) {
        quantised->fail(
            "quantised weights are not supported; use the float16, bfloat16 or float32 checkpoint");
      }
    }
  }
  ModelConfig out;
  out.model_type = family.model_type;
  const bool gemma3 = out.model_type == "gemma3_text";
  read_sizes(config, family, out);
  out.windows = read_windows(config, out);
  out.activation = gemma3 ? read_activation(config, "hidden_activation", "gelu_pytorch_tanh")
                          : read_activation(config, "hidden_act", "silu");
  read_rope(config, out);
  out.attention_scale = 1.0 / std::sqrt(static_cast<double>(out.head_dim));
  if (gemma3) read_gemma3(config, out);
  out.qk_norm = gemma3 || out.model_type == "qwen3";

  // Qwen2 has projection biases without saying so; a config of its family that does says so.
  out.qkv_bias = config.boolean_or("attention_bias", out.model_type == "qwen2");
  out.output_bias = out.model_type != "qwen2" && config.boolean_or("attention_bias", false);
  out.mlp_bias = config.boolean_or("mlp_bias", false);
  out.tied_embeddings = whole.boolean_or(
      "tie_word_embeddings", config.boolean_or("tie_word_embeddings", family.tied_embeddings));
  if (out.tied_embeddings) out.head_name = out.embedding_name;
  out.stored_dtype = read_dtype(whole);
  if (out.stored_dtype.empty()) out.stored_dtype = read_dtype(config);
  out.end_tokens = read_end_tokens(whole, read_end_tokens(config, family.end_tokens));

  const auto generation = model_dir / "generation_config.json";
  if (std::filesystem::exists(generation)) {
    const nlohmann::json more = read_python_json(generation);
    const JsonView fields(more, generation.string());
    if (fields.find("eos_token_id")) out.end_tokens = read_end_tokens(fields, {});
  }
  return out;
}

}  // namespace kvbench
