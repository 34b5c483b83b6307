// What attention gates are trained on: contexts, questions behind them, and what the full cache
// answers (harness/toolchain/train_attention_gate.py descends through the model).
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "harness/base/progress.h"
#include "harness/config/gate_config.h"
#include "harness/model/decoder.h"
#include "harness/profile/contexts.h"

namespace kvbench {

// First and last tokens of a context that attention gates never flag, those that the preset
// attention_gate protects; ours.
inline constexpr int64_t kGateSinks = 4, kGateRecent = 32;

struct GateAnswer {
  const ProfileContext* context = nullptr;
  std::vector<int32_t> question, said;  // at most config.decode_steps tokens are said
  double nll = 0;                       // of them under the full cache, nats a token
  bool held_out = false;
};

// One for each question of each context, drawn by config.temperature with seeds as
// write_gate_data()'s.
std::vector<GateAnswer> answer_questions(const GateConfig& config, const Decoder& model,
                                         const std::vector<ProfileContext>& contexts,
                                         const Advance& advance);

// What the script is told of them and of the model.
nlohmann::json described_answers(const std::vector<GateAnswer>& answers);
nlohmann::json described_model(const std::filesystem::path& folder, const ModelConfig& config);

// Throws InputError unless the script has a forward pass for such a model: Llama's, without biases.
void require_differentiable(const std::string& place, const ModelConfig& config);

// The preset attention_gate with these gates: mean nll of the held-out answers where the context
// was prefilled by it, and the share of entries that it keeps.
struct GatedAnswers {
  double nll = 0, kept = 0;
};
GatedAnswers judge_attention_gates(const std::filesystem::path& gates, const Decoder& model,
                                   const std::vector<GateAnswer>& answers);

}  // namespace kvbench
