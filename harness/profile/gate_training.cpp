#include "harness/profile/gate_training.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/paths.h"
#include "harness/base/toolchain.h"
#include "harness/model/open_model.h"
#include "harness/model/prompt.h"
#include "harness/model/provenance.h"
#include "harness/profile/contexts.h"
#include "harness/profile/gate_answers.h"
#include "harness/profile/gate_data.h"
#include "policies/gates/attention_gates.h"
#include "policies/gates/gates.h"
#include "policies/plugins.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

// Only its scores are asked for.
Policy policy_of(const GateConfig& config) {
  PolicySpec spec;
  spec.name = config.target.name;
  spec.scorer = config.target;
  spec.allocator.name = "uniform";
  spec.origin = config.origin;
  return Policy(spec);
}

// Without a target: for attention gates.
void check_contexts(const GateConfig& config, const OpenModel& model, const Policy* target,
                    const std::vector<ProfileContext>& contexts) {
  if (static_cast<int64_t>(contexts.size()) <= config.held_out) {
    throw_input_error("{}: held_out: expected fewer than the {} contexts, got {}", config.origin,
                      contexts.size(), config.held_out);
  }
  for (size_t i = 0; i < contexts.size(); ++i) {
    const std::string place = fmt::format("{}: context {}", config.origin, i);
    const auto n_tokens = static_cast<int64_t>(contexts[i].tokens.size());
    const bool fine = target == nullptr ? n_tokens >= kGateSinks + kGateRecent + 2
                                        : trained_tokens(n_tokens).count >= 2 &&
                                              n_tokens >= target->least_tokens();
    if (!fine) {
      throw_input_error("{}: {} tokens are too few to train gates on, or for {}", place, n_tokens,
                        target == nullptr ? "attention gates" : target->scorer());
    }
    for (const auto& question : contexts[i].questions) {
      check_prompt(place, model.config, contexts[i].tokens, question, config.decode_steps);
    }
  }
}

// Gates that are there are replaced, nothing else.
void check_output(const GateConfig& config) {
  if (config.output.extension() != ".safetensors") {
    throw_input_error("{}: output: expected a name that ends in .safetensors, got {}",
                      config.origin, config.output.string());
  }
  if (fs::exists(config.output)) {
    config.attention ? void(AttentionGates(config.output)) : void(Gates(config.output));
  }
  check_writable(config.output.string() + ".part");
}

// A folder of our own for as long as this lives.
class DataFolder {
 public:
  explicit DataFolder(const fs::path& output) : path_(output.string() + ".data") {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;
  ~DataFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// What both kinds of gates are made from.
struct Training {
  const GateConfig& config;
  const OpenModel& model;
  const PromptFormat& format;
  const ProfileContexts& contexts;
  const fs::path& folder;
  const StartProgress& start_progress;

  Decoder load() const { return {config.model.path, model.dtype, model.device, start_progress}; }
  Advance start() const {
    return start_progress ? start_progress(std::ssize(contexts.contexts), 0) : Advance();
  }
  int64_t n_trained() const { return std::ssize(contexts.contexts) - config.held_out; }
};

nlohmann::json described(const Training& training, const std::string& target) {
  const GateConfig& config = training.config;
  const ModelShape shape = training.model.config.shape();
  return {{"layers", shape.n_layers},
          {"kv_heads", shape.n_kv_heads},
          {"hidden", shape.hidden_size},
          {"steps", config.steps},
          {"rate", config.rate},
          {"seed", config.seed},
          {"threads", at::get_num_threads()},
          {"metadata",
           {{"name", config.name},
            {"model", fmt::format("{} ({})", config.model.name, dtype_name(training.model.dtype))},
            {"model_hash", model_hash(config.model.path, training.start_progress)},
            {"data_hash", training.contexts.data_hash},
            {"target", target}}}};
}

// Has the script train on the task: it leaves gates.safetensors in the folder.
nlohmann::json descend(const Training& training, const char* script, const nlohmann::json& task) {
  std::ofstream(training.folder / "task.json") << task;
  return nlohmann::json::parse(run_script(script, {training.folder.string()}, "train-gate"));
}

TrainedGates train_by_target(const Training& training, const Policy& target) {
  const GateConfig& config = training.config;
  const auto& contexts = training.contexts.contexts;
  nlohmann::json task = described(training, target.scorer());
  task["group"] = training.model.config.gqa_group();
  task["width"] = config.width;
  task["sinks"] = config.sinks;
  task["tokens"] = config.tokens;
  task["held_out"] = config.held_out;
  task["metadata"]["scale"] = config.ranked ? "rank" : "value";
  for (const auto& context : contexts) {
    const auto n_tokens = static_cast<int64_t>(context.tokens.size());
    const Trained trained = trained_tokens(n_tokens);
    task["lengths"].push_back(n_tokens);
    task["first"].push_back(trained.first);
    task["count"].push_back(trained.count);
  }
  write_gate_data(config, training.load(), target, contexts,
                  training.format.context_frame(PromptRule()), training.folder, training.start());
  const nlohmann::json judged = descend(training, "train_gate.py", task);
  return {task["layers"], training.n_trained(), target.scorer(),
          fmt::format("Spearman {:.3f} in a head (worst layer {:.3f}), {:.1f} % of the best fifth "
                      "shared",
                      judged["spearman"].get<double>(), judged["worst_layer"].get<double>(),
                      100 * judged["shared_fifth"].get<double>())};
}

double mean_held_out_nll(const std::vector<GateAnswer>& answers) {
  double sum = 0;
  int64_t n = 0;
  for (const GateAnswer& answer : answers) {
    if (!answer.held_out) continue;
    sum += answer.nll;
    ++n;
  }
  return sum / static_cast<double>(n);
}

// Two forward passes of one model, and two readings of one file of gates.
void require_same_losses(const char* what, double script, double engine) {
  constexpr double kSame = 0.05;  // nats a token: a flag at the threshold may fall either way
  if (std::abs(script - engine) <= kSame * std::max(1.0, engine)) return;
  throw std::runtime_error(fmt::format(
      "the answers cost {:.4f} nats a token with {} where the gates were trained, {:.4f} "
      "in the engine: the gates are not what was trained",
      script, what, engine));
}

TrainedGates train_through_model(const Training& training) {
  const GateConfig& config = training.config;
  nlohmann::json task = described(training, "answers of the full cache");
  task["width"] = config.attention->width;
  task["keep"] = config.attention->keep;
  task["weight"] = config.attention->weight;
  task.update(described_model(config.model.path, training.model.config));
  const std::vector<GateAnswer> answers =
      answer_questions(config, training.load(), training.contexts.contexts, training.start());
  task["sequences"] = described_answers(answers);
  const nlohmann::json judged = descend(training, "train_attention_gate.py", task);
  const GatedAnswers gated =
      judge_attention_gates(training.folder / "gates.safetensors", training.load(), answers);
  const double full_nll = mean_held_out_nll(answers);
  require_same_losses("the full cache", judged["full"], full_nll);
  require_same_losses("the gates", judged["gated"], gated.nll);
  return {task["layers"], training.n_trained(), "the full cache",
          fmt::format("{:.3f} nats a token with the full cache, {:.3f} with the {:.1f} % that the "
                      "gates keep; training took the loss from {:.3f} to {:.3f}",
                      full_nll, gated.nll, 100 * gated.kept, judged["before"].get<double>(),
                      judged["after"].get<double>())};
}

}  // namespace

TrainedGates train_gates(const GateConfig& config, const StartProgress& start_progress) {
  load_plugins(config.plugins);
  std::optional<Policy> target;
  if (!config.attention) target.emplace(policy_of(config));
  check_output(config);
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  const OpenModel opened = open_model(config.model, config.device);
  if (target) {
    target->validate(opened.config.shape(), [&] { return model_hash(config.model.path); });
  } else {
    require_differentiable(config.origin, opened.config);
  }
  const PromptFormat format(config.model.path, config.chat_template);
  const ProfileContexts contexts = load_contexts(config.contexts, format);
  check_contexts(config, opened, target ? &*target : nullptr, contexts.contexts);
  check_weights(opened);
  if (!set_up("python")) {
    throw std::runtime_error("the private Python cannot import torch, which trains the gates");
  }
  const DataFolder data(config.output);
  const Training training{config, opened, format, contexts, data.path(), start_progress};
  TrainedGates made = target ? train_by_target(training, *target) : train_through_model(training);
  replace_file(data.path() / "gates.safetensors", config.output);
  return made;
}

}  // namespace kvbench
