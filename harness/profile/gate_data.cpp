#include "harness/profile/gate_data.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <fstream>

#include "harness/base/error.h"
#include "harness/engine/compress.h"
#include "harness/engine/next_token.h"
#include "harness/engine/observed_context.h"
#include "harness/profile/gate_training.h"

namespace kvbench {
namespace {

at::Tensor oracle_scores(const GateConfig& config, const Decoder& model,
                         const std::vector<LayerView>& layers, const ProfileContext& context,
                         uint64_t seed) {
  ObservedContext observed(model, layers, lukv::OracleNorm::kLayer);
  at::Tensor sum;
  for (size_t q = 0; q < context.questions.size(); ++q) {
    const auto next = [&config, random = Random(seed + q)](int64_t,
                                                           const at::Tensor& logits) mutable {
      return sample_token(logits, {.temperature = config.temperature}, random);
    };
    const at::Tensor importance = ObservedContext::importance(
        {{&observed, context.questions[q], next}}, config.decode_steps)[0];
    sum = sum.defined() ? sum + importance : importance;
  }
  return sum;
}

at::Tensor scores_of(const Decoder& model, const Policy& target, const ProfileContext& context,
                     const ContextFrame& frame, uint64_t seed) {
  std::vector<at::Tensor> layers;
  CompressOptions options;
  options.seed = seed;
  options.frame = frame;
  options.on_scores = [&](const std::string&, int64_t, const at::Tensor& scores) {
    layers.push_back(scores.to(at::kCPU));
  };
  const Compressed made = compress_context(model, context.tokens, {{&target, 0}}, options);
  if (!made.caches[0].error.empty()) throw std::runtime_error(made.caches[0].error);
  return at::stack(layers);
}

at::Tensor ranks_of(const at::Tensor& scores) {
  const at::Tensor order =
      scores.flatten().argsort(/*stable=*/true, /*dim=*/0, /*descending=*/false);
  at::Tensor ranks = at::empty(order.sizes(), at::kFloat);
  ranks.index_put_({order}, (at::arange(order.numel(), at::kFloat) + 0.5) / order.numel());
  return ranks.view(scores.sizes());
}

void require_shares(const GateConfig& config, const at::Tensor& scores) {
  const Trained trained = trained_tokens(scores.size(2));
  const at::Tensor seen = scores.narrow(2, trained.first, trained.count);
  const auto low = seen.min().item<double>(), high = seen.max().item<double>();
  if (low >= 0 && high <= 1) return;
  throw_input_error("{}: scale: value needs scores from 0 to 1, {} gives {} to {}; expected rank",
                    config.origin, config.target.name, low, high);
}

void append(std::ofstream& out, const at::Tensor& values) {
  const at::Tensor dense = values.contiguous();
  out.write(static_cast<const char*>(dense.const_data_ptr()),
            static_cast<std::streamsize>(dense.nbytes()));
  if (!out) throw std::runtime_error("the training data cannot be written: is the disk full?");
}

}  // namespace

void write_gate_data(const GateConfig& config, const Decoder& model, const Policy& target,
                     const std::vector<ProfileContext>& contexts, const ContextFrame& frame,
                     const std::filesystem::path& folder, const Advance& advance) {
  std::vector<std::ofstream> hidden, targets;
  for (int64_t l = 0; l < model.config().n_budgeted_layers(); ++l) {
    hidden.emplace_back(folder / fmt::format("hidden.{}", l), std::ios::binary);
    targets.emplace_back(folder / fmt::format("target.{}", l), std::ios::binary);
  }
  const c10::InferenceMode no_autograd;
  for (size_t i = 0; i < contexts.size(); ++i) {
    std::vector<LayerView> layers;  // for an oracle
    const auto keep = [&](const LayerView& layer) {
      if (layer.window == 0) {
        append(hidden[layer.index], layer.hidden_states.to(at::kCPU).to(at::kBFloat16));
      }
      if (!target.needs_answer()) return;
      LayerView& kept = layers.emplace_back(layer);
      for (at::Tensor* unused : {&kept.queries, &kept.queries_prerope, &kept.hidden_states}) {
        unused->reset();
      }
    };
    model.prefill(contexts[i].tokens, keep, /*hidden_states=*/true);
    const uint64_t seed = config.seed + 1000 * i;
    at::Tensor wanted = target.needs_answer()
                            ? oracle_scores(config, model, layers, contexts[i], seed)
                            : scores_of(model, target, contexts[i], frame, seed);
    if (config.ranked) {
      wanted = ranks_of(wanted);
    } else {
      require_shares(config, wanted);
    }
    for (size_t l = 0; l < targets.size(); ++l) {
      append(targets[l], wanted[static_cast<int64_t>(l)].t());
    }
    if (advance) advance(1, "contexts read");
  }
}

}  // namespace kvbench
