#include "harness/model/file_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "harness/model/safetensors.h"

namespace kvbench {
namespace {

const std::vector<std::string> kQkv = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"};
const std::vector<std::string> kOutput = {"self_attn.o_proj"};
const std::vector<std::string> kMlp = {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"};

std::string layer_prefix(const ModelConfig& config, int64_t layer) {
  return fmt::format("{}layers.{}.", config.weight_prefix, layer);
}

// A decoder alone, a decoder in a model with pictures as transformers 4 and 5 write it, a decoder
// saved without its head.
void find_prefix(ModelConfig& config, const Weights& weights) {
  const auto holds = [&](const std::string& prefix) { return weights.has(prefix + "norm.weight"); };
  for (const char* prefix : {"language_model.model.", "model.language_model.", ""}) {
    if (!holds(config.weight_prefix) && holds(prefix)) config.weight_prefix = prefix;
  }
}

void find_embeddings(ModelConfig& config, const Weights& weights) {
  config.embedding_name = config.weight_prefix + "embed_tokens.weight";
  std::string head = "lm_head.weight";
  if (weights.has("language_model." + head)) head = "language_model." + head;
  config.head_name = head;
  if (!config.tied_embeddings) return;
  // Tied is what only one of the two names holds.
  if (weights.has(head) && weights.has(config.embedding_name)) {
    config.tied_embeddings = false;
  } else if (weights.has(head)) {
    config.embedding_name = head;
  } else {
    config.head_name = config.embedding_name;
  }
}

// Whether the modules have biases: in every layer or in none.
bool has_biases(const ModelConfig& config, const Weights& weights,
                const std::vector<std::string>& modules) {
  std::string there, missing;
  for (int64_t l = 0; l < config.n_layers; ++l) {
    for (const auto& module : modules) {
      const std::string name = layer_prefix(config, l) + module + ".bias";
      (weights.has(name) ? there : missing) = name;
    }
  }
  if (!there.empty() && !missing.empty()) {
    weights.fail(fmt::format("tensor {} is missing, but there is {}", missing, there));
  }
  return !there.empty();
}

// Names that quantisers (fp8, compressed-tensors, GPTQ, AWQ, bitsandbytes, MXFP4) store beside or
// instead of MODULE.weight.
constexpr const char* kQuantised[] = {"weight_scale",
                                      "weight_scale_inv",
                                      "weight_scale_2",
                                      "weight_global_scale",
                                      "weight_packed",
                                      "weight_shape",
                                      "weight_zero_point",
                                      "weight_g_idx",
                                      "qweight",
                                      "qzeros",
                                      "scales",
                                      "g_idx",
                                      "absmax",
                                      "quant_map",
                                      "SCB",
                                      "weight_format"};

void refuse_quantised(const std::vector<TensorShape>& needed, const Weights& weights) {
  std::set<std::string> modules;
  for (const auto& tensor : needed) modules.insert(tensor.name.substr(0, tensor.name.rfind('.')));
  for (const auto& name : weights.names()) {
    // bitsandbytes hangs its parts below the weight itself: MODULE.weight.absmax.
    const size_t below = name.rfind(".weight.");
    const size_t dot = below == name.npos ? name.rfind('.') : below;
    if (dot == name.npos || !modules.contains(name.substr(0, dot))) continue;
    const std::string part = name.substr(dot + 1);
    if (below != name.npos ||
        std::find(std::begin(kQuantised), std::end(kQuantised), part) != std::end(kQuantised)) {
      weights.fail(fmt::format(
          "tensor {} belongs to quantised weights, which are not supported; use the float16, "
          "bfloat16 or float32 checkpoint",
          name));
    }
  }
}

}  // namespace

std::vector<TensorShape> needed_tensors(const ModelConfig& config) {
  const int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  const int64_t q_size = config.n_heads * config.head_dim;
  const int64_t kv_size = config.n_kv_heads * config.head_dim;
  std::vector<TensorShape> all = {{config.embedding_name, {config.vocab_size, hidden}},
                                  {config.weight_prefix + "norm.weight", {hidden}}};
  if (!config.tied_embeddings) all.push_back({config.head_name, {config.vocab_size, hidden}});
  for (int64_t l = 0; l < config.n_layers; ++l) {
    const std::string prefix = layer_prefix(config, l);
    const auto add = [&](const std::string& name, const std::vector<int64_t>& shape) {
      all.push_back({prefix + name, shape});
    };
    const auto add_linear = [&](const std::string& name, int64_t out, int64_t in, bool bias) {
      add(name + ".weight", {out, in});
      if (bias) add(name + ".bias", {out});
    };
    add("input_layernorm.weight", {hidden});
    add_linear(kQkv[0], q_size, hidden, config.qkv_bias);
    add_linear(kQkv[1], kv_size, hidden, config.qkv_bias);
    add_linear(kQkv[2], kv_size, hidden, config.qkv_bias);
    add_linear(kOutput[0], hidden, q_size, config.output_bias);
    if (config.qk_norm) {
      add("self_attn.q_norm.weight", {config.head_dim});
      add("self_attn.k_norm.weight", {config.head_dim});
    }
    add("post_attention_layernorm.weight", {hidden});
    if (config.sandwich_norms) {
      add("pre_feedforward_layernorm.weight", {hidden});
      add("post_feedforward_layernorm.weight", {hidden});
    }
    add_linear(kMlp[0], inner, hidden, config.mlp_bias);
    add_linear(kMlp[1], inner, hidden, config.mlp_bias);
    add_linear(kMlp[2], hidden, inner, config.mlp_bias);
  }
  return all;
}

void resolve_by_file(ModelConfig& config, const Weights& weights) {
  find_prefix(config, weights);
  find_embeddings(config, weights);
  config.qkv_bias = has_biases(config, weights, kQkv);
  config.output_bias = has_biases(config, weights, kOutput);
  config.mlp_bias = has_biases(config, weights, kMlp);
  const auto needed = needed_tensors(config);
  refuse_quantised(needed, weights);
  for (const auto& tensor : needed) weights.check(tensor.name, tensor.shape);
  if (config.stored_dtype.empty()) config.stored_dtype = weights.float_dtype(config.embedding_name);
}

}  // namespace kvbench
