#include "harness/model/decoder.h"

#include <ATen/ATen.h>

#include <cmath>

#include "harness/base/error.h"
#include "harness/model/file_layout.h"
#include "harness/model/rope.h"
#include "harness/model/safetensors.h"

namespace kvbench {

at::Tensor token_ids(std::span<const int32_t> tokens) {
  return at::tensor(std::vector<int64_t>(tokens.begin(), tokens.end()), at::kLong).unsqueeze(0);
}

Decoder::Decoder(const std::filesystem::path& model_dir, at::ScalarType dtype, c10::Device device)
    : config_(load_model_config(model_dir)), dtype_(dtype), device_(device) {
  const Weights weights(model_dir);
  resolve_by_file(config_, weights);
  const c10::InferenceMode no_autograd;
  const int64_t vocab = config_.vocab_size, hidden = config_.hidden_size;
  attention_scale_ = config_.attention_scale;
  embedding_ = weights.get(config_.embedding_name, {vocab, hidden}, dtype, device);
  final_norm_ = weights.get(config_.weight_prefix + "norm.weight", {hidden}, dtype, device);
  head_ = Linear(config_.tied_embeddings
                     ? embedding_
                     : weights.get(config_.head_name, {vocab, hidden}, dtype, device),
                 /*bias=*/{}, Linear::Rounding::kAny);
  for (int64_t l = 0; l < config_.n_layers; ++l) load_layer(weights, l);
}

// Projections that read the same input are stored as one matrix, so that a decode step makes one
// product of them.
void Decoder::load_layer(const Weights& weights, int64_t index) {
  const std::string prefix = fmt::format("{}layers.{}.", config_.weight_prefix, index);
  const int64_t hidden = config_.hidden_size, inner = config_.intermediate_size;
  const int64_t q_size = config_.n_heads * config_.head_dim;
  const int64_t kv_size = config_.n_kv_heads * config_.head_dim;
  const auto get = [&](const std::string& name, std::vector<int64_t> shape) {
    return weights.get(prefix + name, shape, dtype_, device_);
  };
  at::Tensor qkv_bias, gate_up_bias, down_bias;
  if (config_.qkv_bias) {
    qkv_bias =
        at::cat({get("self_attn.q_proj.bias", {q_size}), get("self_attn.k_proj.bias", {kv_size}),
                 get("self_attn.v_proj.bias", {kv_size})});
  }
  if (config_.mlp_bias) {
    gate_up_bias = at::cat({get("mlp.gate_proj.bias", {inner}), get("mlp.up_proj.bias", {inner})});
    down_bias = get("mlp.down_proj.bias", {hidden});
  }
  Layer& layer = layers_.emplace_back();
  layer.attention_norm = get("input_layernorm.weight", {hidden});
  layer.qkv = Linear(at::cat({get("self_attn.q_proj.weight", {q_size, hidden}),
                              get("self_attn.k_proj.weight", {kv_size, hidden}),
                              get("self_attn.v_proj.weight", {kv_size, hidden})}),
                     qkv_bias);
  layer.output = get("self_attn.o_proj.weight", {hidden, q_size});
  if (config_.output_bias) layer.output_bias = get("self_attn.o_proj.bias", {hidden});
  if (config_.qk_norm) {
    layer.q_norm = get("self_attn.q_norm.weight", {config_.head_dim});
    layer.k_norm = get("self_attn.k_norm.weight", {config_.head_dim});
  }
  layer.mlp_norm = get("post_attention_layernorm.weight", {hidden});
  layer.gate_up = Linear(at::cat({get("mlp.gate_proj.weight", {inner, hidden}),
                                  get("mlp.up_proj.weight", {inner, hidden})}),
                         gate_up_bias);
  layer.down = Linear(get("mlp.down_proj.weight", {hidden, inner}), down_bias);
}

int64_t Decoder::weight_bytes() const {
  const auto bytes = [](const at::Tensor& t) {
    return t.defined() ? static_cast<int64_t>(t.nbytes()) : 0;
  };
  int64_t sum = bytes(embedding_) + bytes(final_norm_);
  if (!config_.tied_embeddings || head_.is_packed()) sum += head_.bytes();
  for (const auto& l : layers_) {
    for (const auto* t :
         {&l.attention_norm, &l.q_norm, &l.k_norm, &l.mlp_norm, &l.output, &l.output_bias}) {
      sum += bytes(*t);
    }
    for (const auto* linear : {&l.qkv, &l.gate_up, &l.down}) sum += linear->bytes();
  }
  return sum;
}

int64_t Decoder::kv_bytes(int64_t n_tokens) const {
  return 2 * config_.n_layers * config_.n_kv_heads * n_tokens * config_.head_dim *
         static_cast<int64_t>(c10::elementSize(dtype_));
}

// RMS norm in float32, the weight applied in the model's dtype (as transformers does).
at::Tensor Decoder::norm(const at::Tensor& hidden, const at::Tensor& weight) const {
  const at::Tensor x = hidden.to(at::kFloat);
  const at::Tensor scale = at::rsqrt(x.square().mean({-1}, true) + config_.rms_norm_eps);
  return (x * scale).to(dtype_) * weight;
}

Decoder::Projections Decoder::project(const Layer& layer, const at::Tensor& hidden,
                                      const at::Tensor& cos, const at::Tensor& sin) const {
  const int64_t S = hidden.size(0), m = hidden.size(1), d = config_.head_dim;
  const int64_t Hq = config_.n_heads, H = config_.n_kv_heads;
  const at::Tensor heads = layer.qkv(hidden).view({S, m, Hq + 2 * H, d});
  at::Tensor queries = heads.narrow(2, 0, Hq), keys = heads.narrow(2, Hq, H);
  if (config_.qk_norm) {
    queries = norm(queries, layer.q_norm);
    keys = norm(keys, layer.k_norm);
  }
  return {queries, rotate(queries, cos, sin), rotate(keys, cos, sin), heads.narrow(2, Hq + H, H)};
}

at::Tensor Decoder::mlp(const Layer& layer, const at::Tensor& hidden) const {
  auto gate_up = layer.gate_up(hidden).chunk(2, -1);
  const bool silu = config_.activation == Activation::kSilu;
  const at::Tensor gate = silu ? at::silu_(gate_up[0]) : at::gelu_(gate_up[0], "tanh");
  return layer.down(gate.mul_(gate_up[1]));
}

// tokens [S, m] and their positions [S, m] -> logits float32 [S, vocab] or [S, m, vocab].
at::Tensor Decoder::forward(const at::Tensor& tokens, const at::Tensor& positions,
                            const Attend& attend, Logits logits) const {
  const auto [cos, sin] =
      rope_angles(positions, inverse_frequencies(config_, /*local=*/false, positions),
                  rope_attention_factor(config_));
  at::Tensor hidden = at::embedding(embedding_, tokens);
  for (int64_t l = 0; l < config_.n_layers; ++l) {
    const Layer& layer = layers_[l];
    const Projections heads = project(layer, norm(hidden, layer.attention_norm), cos, sin);
    at::Tensor attended = attend(l, heads).flatten(2);  // [S, m, Hq * d]
    if (logits == Logits::kLast && l + 1 == config_.n_layers) {
      // Nobody attends to what the last layer makes of the other tokens.
      attended = attended.select(1, -1);
      hidden = hidden.select(1, -1);
    }
    hidden = hidden + at::linear(attended, layer.output, layer.output_bias);
    hidden = hidden + mlp(layer, norm(hidden, layer.mlp_norm));
  }
  return head_(norm(hidden, final_norm_)).to(at::kFloat);
}

void Decoder::check_tokens(const at::Tensor& tokens, int64_t first_position) const {
  if (tokens.numel() == 0) throw InputError("a context needs at least one token");
  const int64_t end = first_position + tokens.size(1);
  if (end > config_.max_positions) {
    throw_input_error("{} tokens are more than the model's {} positions", end,
                      config_.max_positions);
  }
  const auto low = tokens.min().item<int64_t>(), high = tokens.max().item<int64_t>();
  if (low < 0 || high >= config_.vocab_size) {
    throw_input_error("token id {} is outside the model's vocabulary of {}", low < 0 ? low : high,
                      config_.vocab_size);
  }
}

at::Tensor Decoder::prefill(const std::vector<int32_t>& tokens, const Observer& observer) const {
  const c10::InferenceMode no_autograd;
  const at::Tensor ids = token_ids(tokens);
  check_tokens(ids, 0);
  const auto n_tokens = static_cast<int64_t>(tokens.size());
  const at::Tensor positions = at::arange(n_tokens, at::TensorOptions(at::kLong).device(device_));
  const at::Tensor frequencies =
      inverse_frequencies(config_, /*local=*/false, n_tokens).to(device_);
  const auto attend = [&](int64_t l, const Projections& p) {
    LayerView view;
    view.index = l;
    view.n_layers = config_.n_layers;
    // [1, T, heads, d] -> [heads, T, d]
    view.queries_prerope = p.queries_prerope.squeeze(0).transpose(0, 1);
    view.queries = p.queries.squeeze(0).transpose(0, 1);
    view.keys = p.keys.squeeze(0).transpose(0, 1).contiguous();
    view.values = p.values.squeeze(0).transpose(0, 1).contiguous();
    view.output_weight = layers_[l].output;
    view.inverse_frequencies = frequencies;
    view.attention_scale = attention_scale_;
    const at::Tensor attended = at::scaled_dot_product_attention(
        view.queries.unsqueeze(0), view.keys.unsqueeze(0), view.values.unsqueeze(0),
        /*attn_mask=*/{}, /*dropout_p=*/0.0, /*is_causal=*/true, attention_scale_,
        /*enable_gqa=*/true);
    observer(view);
    return attended.transpose(1, 2);
  };
  return forward(ids.to(device_), positions.unsqueeze(0), attend, Logits::kLast).squeeze(0);
}

at::Tensor Decoder::extend(const at::Tensor& tokens, DecodeBatch& batch, Logits logits,
                           const StepObserver& observer) const {
  const c10::InferenceMode no_autograd;
  const int64_t S = batch.size(), m = tokens.size(1);
  KVB_CHECK(tokens.size(0) == S || tokens.size(0) == 1, "{} token rows for {} sequences",
            tokens.size(0), S);
  std::vector<int64_t> next;
  for (int64_t s = 0; s < S; ++s) next.push_back(batch.next_position(s));
  check_tokens(tokens, *std::max_element(next.begin(), next.end()));
  batch.reserve(m);
  const at::Tensor positions =
      (at::tensor(next, at::kLong).unsqueeze(1) + at::arange(m, at::kLong)).to(device_);
  const auto attend = [&](int64_t l, const Projections& p) {
    at::Tensor attended = batch.append_and_attend(l, p.queries, p.keys, p.values, attention_scale_);
    if (observer) observer(l, p.queries);
    return attended;
  };
  at::Tensor result = forward(tokens.to(device_).expand({S, m}), positions, attend, logits);
  batch.advance(m);
  return result;
}

}  // namespace kvbench
