// What `kvbench train-gate` is asked to do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/config/profile_config.h"

namespace kvbench {

// Attention gates (policies/gates/attention_gates.h), trained through the model on what the full
// cache answers; all three are ours.
struct AttentionGateSpec {
  int64_t width = 8;  // r of the gates
  double keep = 0.5;  // share of flags above which a layer's mean flag costs
  double weight = 1;  // what a whole of it costs, in nats a token
};

struct GateConfig {
  std::string name, origin;
  ModelSpec model;
  std::string device = "auto";
  ChatTemplateUse chat_template = ChatTemplateUse::kYes;
  ContextsSpec contexts;
  int64_t held_out = 4;  // last contexts, which the gates are judged on and not trained on
  std::optional<AttentionGateSpec> attention;  // in place of the next two, and of width and sinks
  PartSpec target;                             // the scorer that the gates learn to foretell
  bool ranked = true;         // its scores' ranks among all entries of a context, else themselves
  int64_t decode_steps = 48;  // behind each question, whose attention an oracle counts
  double temperature = 0.7;   // of what is said there; 0 = greedy
  int64_t width = 16, sinks = 16;  // r and S of the gates (policies/gates/gates.h)
  // Stochastic gradient descent with momentum 0.9; of attention gates Adam, one question a step.
  int64_t steps = 5000, tokens = 1000;  // tokens a step
  double rate = 0.2;
  uint64_t seed = 42;  // of questions' answers, first weights and order
  std::vector<std::filesystem::path> plugins;
  int64_t threads = 0;           // 0 = LibTorch's default
  std::filesystem::path output;  // results/NAME.safetensors below the working folder unless given
};

// Strict like a sweep's: unknown keys, wrong types and impossible values throw InputError with
// place and near matches. Keys:
//   name, model, contexts                       required; contexts as in a profile
//   target: PART, or attention: {width, keep, weight} in place of target, scale and gate
//   held_out, scale: rank or value, decode_steps, temperature, seed
//   gate: {width, sinks}, training: {steps, tokens, rate}, without tokens beside attention
//   device, chat_template, threads, plugins, output
GateConfig load_gate_config(const std::filesystem::path& file,
                            const std::vector<std::string>& sets = {});
GateConfig parse_gate_config(const YamlNode& root);

}  // namespace kvbench
