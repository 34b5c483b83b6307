#include "harness/model/decoder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "harness/base/error.h"
#include "harness/model/file_layout.h"
#include "harness/model/rope.h"
#include "harness/model/safetensors.h"
#include "kernels/causal_attention/causal_attention_torch.h"
#include "kernels/common/team.h"
#include "kernels/gated_activation/gated_activation_torch.h"
#include "kernels/norm_rope/norm_rope_torch.h"
#include "kernels/rms_norm/rms_norm_torch.h"

namespace kvbench {
at::Tensor token_ids(std::span<const int32_t> tokens) {
  return at::tensor(std::vector<int64_t>(tokens.begin(), tokens.end()), at::kLong).unsqueeze(0);
}

Decoder::Decoder(const std::filesystem::path& model_dir, at::ScalarType dtype, c10::Device device,
                 const StartProgress& progress)
    : config_(load_model_config(model_dir)), dtype_(dtype), device_(device) {
  const Weights weights(model_dir);
  resolve_by_file(config_, weights);
  const c10::InferenceMode no_autograd;
  const int64_t vocab = config_.vocab_size, hidden = config_.hidden_size;
  constexpr int64_t kWorthABar = int64_t{1} << 30;  // bytes: below, nobody waits
  const Advance advance =
      progress && weights.n_bytes() >= kWorthABar ? progress(config_.n_layers, 0) : Advance();
  embedding_scale_ = at::scalar_tensor(config_.embedding_scale, dtype);
  final_norm_ = load_norm(weights, config_.weight_prefix + "norm.weight", hidden);
  at::Tensor embedding = weights.get(config_.embedding_name, {vocab, hidden}, dtype, device);
  if (config_.tied_embeddings) {
    head_ = Linear(embedding);
  } else {
    head_ = Linear(weights.get(config_.head_name, {vocab, hidden}, dtype, device));
    embedding_ = std::move(embedding);
  }
  const auto slots = config_.cache_slots();
  for (int64_t l = 0; l < config_.n_layers; ++l) {
    layers_.push_back(load_layer(weights, l, slots[l]));
    if (advance) advance(1, "layers loaded");
  }
  if (config_.rope_scaling.type != RopeScaling::Type::kDynamic) {
    angles_ = std::make_unique<RopeTable>(inverse_frequencies(config_, /*local=*/false, int64_t{0}),
                                          rope_attention_factor(config_), device);
  }
  if (config_.local_rope_theta > 0) {
    local_angles_ = std::make_unique<RopeTable>(
        inverse_frequencies(config_, /*local=*/true, int64_t{0}), 1, device);
  }
}

// Gemma's norms are stored as what they differ by from 1, and multiply in float32.
at::Tensor Decoder::load_norm(const Weights& weights, const std::string& name, int64_t size) const {
  if (!config_.norm_plus_one) return weights.get(name, {size}, dtype_, device_);
  return weights.get(name, {size}, dtype_, device_).to(at::kFloat) + 1;
}

// Projections that read the same input are stored as one matrix, so that a decode step makes one
// product of them. They are read into their places in it.
Linear Decoder::load_linear(const Weights& weights, const std::vector<std::string>& names,
                            const std::vector<int64_t>& out_sizes, int64_t in,
                            bool has_bias) const {
  const int64_t out = std::accumulate(out_sizes.begin(), out_sizes.end(), int64_t{0});
  const auto options = at::TensorOptions(dtype_).device(device_);
  const at::Tensor weight = at::empty({out, in}, options);
  const at::Tensor bias = has_bias ? at::empty({out}, options) : at::Tensor();
  int64_t first = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    weights.read(names[i] + ".weight", weight.narrow(0, first, out_sizes[i]));
    if (has_bias) weights.read(names[i] + ".bias", bias.narrow(0, first, out_sizes[i]));
    first += out_sizes[i];
  }
  return Linear(weight, bias);
}

Decoder::Layer Decoder::load_layer(const Weights& weights, int64_t index,
                                   int64_t cache_slot) const {
  const std::string prefix = fmt::format("{}layers.{}.", config_.weight_prefix, index);
  const int64_t hidden = config_.hidden_size, inner = config_.intermediate_size;
  const int64_t q_size = config_.n_heads * config_.head_dim;
  const int64_t kv_size = config_.n_kv_heads * config_.head_dim;
  const auto norm = [&](const std::string& name, int64_t size) {
    return load_norm(weights, prefix + name + ".weight", size);
  };
  const auto linear = [&](std::vector<std::string> names, const std::vector<int64_t>& out,
                          int64_t in, bool has_bias) {
    for (auto& name : names) name.insert(0, prefix);
    return load_linear(weights, names, out, in, has_bias);
  };
  Layer layer;
  layer.attention_norm = norm("input_layernorm", hidden);
  layer.qkv = linear({"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
                     {q_size, kv_size, kv_size}, hidden, config_.qkv_bias);
  layer.output = linear({"self_attn.o_proj"}, {hidden}, q_size, config_.output_bias);
  if (config_.qk_norm) {
    layer.q_norm = norm("self_attn.q_norm", config_.head_dim);
    layer.k_norm = norm("self_attn.k_norm", config_.head_dim);
  }
  if (config_.sandwich_norms) {
    layer.after_attention_norm = norm("post_attention_layernorm", hidden);
    layer.mlp_norm = norm("pre_feedforward_layernorm", hidden);
    layer.after_mlp_norm = norm("post_feedforward_layernorm", hidden);
  } else {
    layer.mlp_norm = norm("post_attention_layernorm", hidden);
  }
  layer.gate_up =
      linear({"mlp.gate_proj", "mlp.up_proj"}, {inner, inner}, hidden, config_.mlp_bias);
  layer.down = linear({"mlp.down_proj"}, {hidden}, inner, config_.mlp_bias);
  layer.window = config_.windows[index];
  layer.cache_slot = cache_slot;
  layer.is_budgeted = config_.is_budgeted(index);
  layer.local_rope = config_.local_rope(index);
  return layer;
}

int64_t Decoder::weight_bytes() const {
  const auto bytes = [](const at::Tensor& t) {
    return t.defined() ? static_cast<int64_t>(t.nbytes()) : 0;
  };
  int64_t sum = bytes(embedding_) + bytes(final_norm_) + head_.n_bytes();
  for (const auto& l : layers_) {
    for (const auto* t : {&l.attention_norm, &l.q_norm, &l.k_norm, &l.mlp_norm,
                          &l.after_attention_norm, &l.after_mlp_norm}) {
      sum += bytes(*t);
    }
    for (const auto* linear : {&l.qkv, &l.output, &l.gate_up, &l.down}) sum += linear->n_bytes();
  }
  return sum;
}

int64_t Decoder::step_weight_bytes() const {
  return weight_bytes() - (embedding_.defined() ? static_cast<int64_t>(embedding_.nbytes()) : 0);
}

int64_t Decoder::kv_bytes(int64_t n_tokens, int64_t n_kept) const {
  return 2 * config_.n_cached(n_tokens, n_kept) * config_.head_dim *
         static_cast<int64_t>(c10::elementSize(dtype_));
}

at::Tensor Decoder::norm(const at::Tensor& x, const at::Tensor& weight, Buffers& buffers,
                         Buffers::Name name) const {
  const at::Tensor out = buffers.get(name, x.sizes(), dtype_, device_);
  rms_norm_out(x, weight, config_.rms_norm_eps, std::nullopt, out);
  return out;
}

at::Tensor Decoder::add_and_norm(const at::Tensor& hidden, const at::Tensor& change,
                                 const at::Tensor& weight, Buffers& buffers) const {
  if (!change.defined()) return norm(hidden, weight, buffers, Buffers::kNormed);
  const at::Tensor out = buffers.get(Buffers::kNormed, hidden.sizes(), dtype_, device_);
  rms_norm_out(change, weight, config_.rms_norm_eps, hidden, out);
  return out;
}

at::Tensor Decoder::product(const Linear& linear, const at::Tensor& x, Buffers& buffers,
                            Buffers::Name name) const {
  const at::Tensor out = buffers.get(name, {x.size(0), x.size(1), linear.n_out()}, dtype_, device_);
  linear(x, out);
  return out;
}

RopeAngles Decoder::angles(bool local, const at::Tensor& positions, int64_t end,
                           Buffers& buffers) const {
  const RopeTable* table = local ? local_angles_.get() : angles_.get();
  if (table == nullptr) {
    return rope_angles(positions, inverse_frequencies(config_, local, positions),
                       rope_attention_factor(config_));
  }
  const RopeAngles& rows = buffers.rows(*table, end);
  const int64_t S = positions.size(0), m = positions.size(1), pairs = rows.cos.size(1);
  const auto look_up = [&](const at::Tensor& of_all, Buffers::Name name) {
    at::Tensor out = buffers.get(name, {S * m, pairs}, at::kFloat, device_);
    by_one_thread([out, of_all, at = positions.reshape({-1})]() mutable {
      at::index_select_out(out, of_all, 0, at);
    });
    return out.view({S, m, 1, pairs});
  };
  return {look_up(rows.cos, local ? Buffers::kLocalCos : Buffers::kCos),
          look_up(rows.sin, local ? Buffers::kLocalSin : Buffers::kSin)};
}

Decoder::Projections Decoder::project(const Layer& layer, const at::Tensor& hidden,
                                      const RopeAngles& angles, Buffers& buffers) const {
  const int64_t S = hidden.size(0), m = hidden.size(1), d = config_.head_dim;
  const int64_t Hq = config_.n_heads, H = config_.n_kv_heads;
  const at::Tensor qkv = product(layer.qkv, hidden, buffers, Buffers::kQkv);
  const at::Tensor heads = qkv.view({S, m, Hq + 2 * H, d});
  const auto weight = [&](const at::Tensor& norm) {
    return config_.qk_norm ? std::optional(norm) : std::nullopt;
  };
  const auto rows_of = [&](Buffers::Name name, int64_t n_heads) {
    return buffers.get(name, {S, m, n_heads, d}, dtype_, device_);
  };
  const at::Tensor queries = rows_of(Buffers::kQueries, Hq), keys = rows_of(Buffers::kKeys, H);
  const at::Tensor prerope =
      config_.qk_norm ? rows_of(Buffers::kNormedQueries, Hq) : heads.narrow(2, 0, Hq);
  norm_rope_out(qkv, Hq, H, angles.cos, angles.sin, weight(layer.q_norm), weight(layer.k_norm),
                config_.rms_norm_eps, queries, keys, prerope);
  return {prerope, queries, keys, heads.narrow(2, Hq + H, H), hidden};
}

// In blocks of tokens: what stands between the products is several times as large as a context's
// hidden states.
at::Tensor Decoder::mlp(const Layer& layer, const at::Tensor& hidden, Buffers& buffers) const {
  constexpr int64_t kBlock = 256;
  const char* activation = config_.activation == Activation::kSilu ? "silu" : "gelu_tanh";
  const auto of_block = [&](const at::Tensor& rows) {
    const at::Tensor activated =
        buffers.get(Buffers::kActivated, {rows.size(0), rows.size(1), config_.intermediate_size},
                    dtype_, device_);
    gated_activation_out(product(layer.gate_up, rows, buffers, Buffers::kGateUp), activation,
                         activated);
    return product(layer.down, activated, buffers, Buffers::kChange);
  };
  const int64_t n_tokens = hidden.size(1);
  if (n_tokens <= kBlock) return of_block(hidden);
  at::Tensor out = at::empty_like(hidden);
  for (int64_t first = 0; first < n_tokens; first += kBlock) {
    const int64_t n = std::min(kBlock, n_tokens - first);
    out.narrow(1, first, n).copy_(of_block(hidden.narrow(1, first, n)));
  }
  return out;
}

// tokens [S, m] and their positions [S, m] -> logits float32 [S, vocab] or [S, m, vocab].
at::Tensor Decoder::forward(const at::Tensor& tokens, const at::Tensor& positions, int64_t end,
                            Buffers& buffers, const Attend& attend, Logits logits) const {
  const RopeAngles global_angles = angles(/*local=*/false, positions, end, buffers);
  const RopeAngles local_angles =
      local_angles_ ? angles(/*local=*/true, positions, end, buffers) : RopeAngles();
  const int64_t S = tokens.size(0), m = tokens.size(1);
  at::Tensor hidden = buffers.get(Buffers::kHidden, {S, m, config_.hidden_size}, dtype_, device_);
  {
    at::Tensor rows = hidden.view({S * m, config_.hidden_size});
    const at::Tensor ids = tokens.reshape({-1});
    if (embedding_.defined()) {
      by_one_thread([rows, ids, embedding = embedding_]() mutable {
        at::index_select_out(rows, embedding, 0, ids);
      });
    } else {
      head_.rows(ids, rows);
    }
  }
  if (config_.embedding_scale != 1) {
    by_one_thread([hidden, scale = embedding_scale_] { hidden.mul_(scale); });
  }
  at::Tensor change;  // what the part before adds to the hidden states, with the next norm
  for (int64_t l = 0; l < config_.n_layers; ++l) {
    const Layer& layer = layers_[l];
    Projections heads = project(layer, add_and_norm(hidden, change, layer.attention_norm, buffers),
                                layer.local_rope ? local_angles : global_angles, buffers);
    // What the next products do not need goes before they need room.
    change.reset();
    at::Tensor attended = attend(l, std::move(heads)).flatten(2);  // [S, m, Hq * d]
    if (logits == Logits::kLast && l + 1 == config_.n_layers) {
      // Nobody attends to what the last layer makes of the other tokens.
      attended = attended.narrow(1, -1, 1);
      hidden = hidden.narrow(1, -1, 1).contiguous();
    }
    change = product(layer.output, attended, buffers, Buffers::kChange);
    attended.reset();
    if (config_.sandwich_norms) {
      change = norm(change, layer.after_attention_norm, buffers, Buffers::kNormedChange);
    }
    const at::Tensor normed = add_and_norm(hidden, change, layer.mlp_norm, buffers);
    change.reset();
    change = mlp(layer, normed, buffers);
    if (config_.sandwich_norms) {
      change = norm(change, layer.after_mlp_norm, buffers, Buffers::kNormedChange);
    }
  }
  at::Tensor result =
      product(head_, add_and_norm(hidden, change, final_norm_, buffers), buffers, Buffers::kLogits);
  if (dtype_ != at::kFloat) {
    const at::Tensor rounded = result;
    result = buffers.get(Buffers::kFloatLogits, result.sizes(), at::kFloat, device_);
    by_one_thread([result, rounded] { result.copy_(rounded); });
  }
  return logits == Logits::kLast ? result.squeeze(1) : result;
}

void Decoder::check_room(int64_t end) const {
  if (end <= config_.max_positions) return;
  throw_input_error("{} tokens are more than the model's {} positions", end, config_.max_positions);
}

void Decoder::check_tokens(const at::Tensor& tokens) const {
  if (tokens.numel() == 0) throw InputError("a context needs at least one token");
  const auto low = tokens.min().item<int64_t>(), high = tokens.max().item<int64_t>();
  if (low < 0 || high >= config_.vocab_size) {
    throw_input_error("token id {} is outside the model's vocabulary of {}", low < 0 ? low : high,
                      config_.vocab_size);
  }
}

at::Tensor Decoder::prefill(const std::vector<int32_t>& tokens, const Observer& observer,
                            bool hidden_states, const Attention& attention) const {
  const c10::InferenceMode no_autograd;
  const at::Tensor ids = token_ids(tokens);
  const auto n_tokens = static_cast<int64_t>(tokens.size());
  check_room(n_tokens);
  check_tokens(ids);
  const at::Tensor positions =
      at::arange(n_tokens, at::TensorOptions(at::kLong).device(device_)).unsqueeze(0);
  const at::Tensor frequencies =
      inverse_frequencies(config_, /*local=*/false, n_tokens).to(device_);
  const int64_t n_budgeted = config_.n_budgeted_layers();
  const auto attend = [&](int64_t l, Projections p) {
    LayerView view;
    view.index = layers_[l].cache_slot;
    view.n_layers = n_budgeted;
    if (!layers_[l].is_budgeted) view.window = layers_[l].window;
    // [1, T, heads, d] -> [heads, T, d]
    view.queries_prerope = p.queries_prerope.squeeze(0).transpose(0, 1);
    view.queries = p.queries.squeeze(0).transpose(0, 1);
    if (hidden_states) view.hidden_states = p.hidden.squeeze(0);
    view.keys = p.keys.squeeze(0).transpose(0, 1).contiguous();
    view.values = p.values.squeeze(0).transpose(0, 1).contiguous();
    p = {};
    view.output_weight = layers_[l].output.weight();
    view.inverse_frequencies = frequencies;
    view.rope_factor = rope_attention_factor(config_);
    view.attention_scale = config_.attention_scale;
    const at::Tensor attended = attention && layers_[l].is_budgeted
                                    ? attention(view)
                                    : causal_attention(view.queries, view.keys, view.values,
                                                       config_.attention_scale, layers_[l].window);
    observer(view);
    return attended.unsqueeze(0);
  };
  Buffers buffers(/*kept=*/false);
  return forward(ids.to(device_), positions, n_tokens, buffers, attend, Logits::kLast).squeeze(0);
}

at::Tensor Decoder::extend(const at::Tensor& tokens, DecodeBatch& batch, Logits logits,
                           const StepObserver& observer) const {
  const c10::InferenceMode no_autograd;
  KVB_CHECK(tokens.size(0) == batch.size() || tokens.size(0) == 1, "{} token rows for {} sequences",
            tokens.size(0), batch.size());
  check_tokens(tokens);
  check_room(batch.furthest_position() + tokens.size(1));
  batch.reserve(tokens.size(1));
  Buffers buffers(/*kept=*/false);
  at::Tensor result = extend_batch(tokens.to(device_).expand({batch.size(), tokens.size(1)}), batch,
                                   buffers, logits, observer);
  batch.advance(tokens.size(1));
  return result;
}

void Decoder::prepare_step(DecodeBatch& batch, Buffers& buffers) const {
  const c10::InferenceMode no_autograd;
  const int64_t end = batch.furthest_position() + 1;
  check_room(end);
  batch.reserve(1);
  for (const RopeTable* table : {angles_.get(), local_angles_.get()}) {
    if (table != nullptr) buffers.rows(*table, end);
  }
}

at::Tensor Decoder::step(const at::Tensor& ids, DecodeBatch& batch, Buffers& buffers,
                         const StepObserver& observer) const {
  const c10::InferenceMode no_autograd;
  KVB_CHECK(ids.size(0) == batch.size(), "{} tokens for {} sequences", ids.size(0), batch.size());
  at::Tensor tokens = buffers.get(Buffers::kTokens, {ids.size(0)}, at::kLong, device_);
  by_one_thread([tokens, ids]() mutable { at::clamp_min_out(tokens, ids, 0); });
  return extend_batch(tokens.unsqueeze(1), batch, buffers, Logits::kLast, observer);
}

at::Tensor Decoder::extend_batch(const at::Tensor& tokens, DecodeBatch& batch, Buffers& buffers,
                                 Logits logits, const StepObserver& observer) const {
  const int64_t m = tokens.size(1), end = batch.furthest_position() + m;
  const auto attend = [&](int64_t l, Projections p) {
    const Layer& layer = layers_[l];
    at::Tensor attended = buffers.get(Buffers::kAttended, p.queries.sizes(), dtype_, device_);
    batch.append_and_attend(layer.cache_slot, p.queries, p.keys, p.values, config_.attention_scale,
                            layer.window, buffers.workspace(device_), attended);
    if (observer && layer.is_budgeted) observer(layer.cache_slot, p.queries, p.hidden);
    return attended;
  };
  return forward(tokens, batch.begin(m), end, buffers, attend, logits);
}

}  // namespace kvbench
