#include "harness/profile/gate_answers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "harness/base/error.h"
#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/fidelity.h"
#include "harness/engine/generate.h"
#include "harness/model/rope.h"

namespace kvbench {
namespace {

CompressedCache compress(const Decoder& model, const ProfileContext& context,
                         const PolicyAtRatio& asked) {
  Compressed made = compress_context(model, context.tokens, {asked}, {});
  if (!made.caches[0].error.empty()) throw std::runtime_error(made.caches[0].error);
  return std::move(made.caches[0]);
}

}  // namespace

std::vector<GateAnswer> answer_questions(const GateConfig& config, const Decoder& model,
                                         const std::vector<ProfileContext>& contexts,
                                         const Advance& advance) {
  const Policy full(parse_policy_text("full"));
  std::vector<GateAnswer> answers;
  for (size_t i = 0; i < contexts.size(); ++i) {
    const CompressedCache cache = compress(model, contexts[i], {&full, 0});
    for (size_t q = 0; q < contexts[i].questions.size(); ++q) {
      GateAnswer answer;
      answer.context = &contexts[i];
      answer.question = contexts[i].questions[q];
      answer.held_out = std::ssize(contexts) - static_cast<int64_t>(i) <= config.held_out;
      GenerateOptions options{config.decode_steps, model.config().end_tokens};
      options.sampling.temperature = config.temperature;
      options.seed = config.seed + 1000 * i + q;
      Generation said = generate(model, {cache.growing()}, answer.question, options)[0];
      if (!said.error.empty()) throw std::runtime_error(said.error);
      cache.cache->rewind();
      answer.said = std::move(said.tokens);
      answer.nll = mean_nll(model, cache.growing(), answer.question, answer.said);
      answers.push_back(std::move(answer));
    }
    if (advance) advance(1, "contexts answered");
  }
  return answers;
}

nlohmann::json described_answers(const std::vector<GateAnswer>& answers) {
  nlohmann::json all;
  for (const GateAnswer& answer : answers) {
    std::vector<int32_t> tokens = answer.context->tokens;
    tokens.insert(tokens.end(), answer.question.begin(), answer.question.end());
    tokens.insert(tokens.end(), answer.said.begin(), answer.said.end());
    all.push_back({{"tokens", tokens},
                   {"context", answer.context->tokens.size()},
                   {"said", answer.said.size()},
                   {"held_out", answer.held_out}});
  }
  return all;
}

nlohmann::json described_model(const std::filesystem::path& folder, const ModelConfig& config) {
  const at::Tensor frequencies = inverse_frequencies(config, /*local=*/false, int64_t{0});
  const auto* values = frequencies.const_data_ptr<float>();
  return {{"model", folder.string()},
          {"frequencies", std::vector<float>(values, values + frequencies.numel())},
          {"rope_factor", rope_attention_factor(config)},
          {"scale", config.attention_scale},
          {"head_dim", config.head_dim},
          {"epsilon", config.rms_norm_eps},
          {"sink", kGateSinks},
          {"recent", kGateRecent}};
}

void require_differentiable(const std::string& place, const ModelConfig& config) {
  const char* has = config.model_type != "llama" ? "another forward pass"
                    : config.qkv_bias || config.output_bias || config.mlp_bias ? "biases"
                    : config.activation != Activation::kSilu                  ? "another activation"
                    : config.rope_scaling.type == RopeScaling::Type::kDynamic ? "dynamic RoPE"
                                                                              : nullptr;
  if (has == nullptr) return;
  throw_input_error(
      "{}: attention: these gates are trained through the model, expected model_type llama without "
      "biases; {} has {}",
      place, config.model_type, has);
}

GatedAnswers judge_attention_gates(const std::filesystem::path& gates, const Decoder& model,
                                   const std::vector<GateAnswer>& answers) {
  PolicySpec spec = parse_policy_text("attention_gate");
  spec.scorer.params = {{"gate", gates.string()}};
  const Policy policy(spec);
  const ProfileContext* at_hand = nullptr;
  CompressedCache cache;
  double nll = 0, kept = 0;
  int64_t n_answers = 0, n_contexts = 0;
  for (const GateAnswer& answer : answers) {
    if (!answer.held_out) continue;
    if (answer.context != at_hand) {
      at_hand = answer.context;
      cache = compress(model, *at_hand, {&policy, /*ratio, which is not asked for*/ 0.5});
      kept += std::accumulate(cache.keep_counts.begin(), cache.keep_counts.end(), 0.0) /
              static_cast<double>(cache.keep_counts.size() * at_hand->tokens.size());
      ++n_contexts;
    }
    nll += mean_nll(model, cache.growing(), answer.question, answer.said);
    ++n_answers;
  }
  return {nll / static_cast<double>(n_answers), kept / static_cast<double>(n_contexts)};
}

}  // namespace kvbench
