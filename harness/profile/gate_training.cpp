#include "harness/profile/gate_training.h"

#include <ATen/Parallel.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/paths.h"
#include "harness/base/toolchain.h"
#include "harness/model/open_model.h"
#include "harness/model/prompt.h"
#include "harness/model/provenance.h"
#include "harness/profile/contexts.h"
#include "harness/profile/gate_data.h"
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

void check_contexts(const GateConfig& config, const OpenModel& model, const Policy& target,
                    const std::vector<ProfileContext>& contexts) {
  if (static_cast<int64_t>(contexts.size()) <= config.held_out) {
    throw_input_error("{}: held_out: expected fewer than the {} contexts, got {}", config.origin,
                      contexts.size(), config.held_out);
  }
  for (size_t i = 0; i < contexts.size(); ++i) {
    const std::string place = fmt::format("{}: context {}", config.origin, i);
    const auto n_tokens = static_cast<int64_t>(contexts[i].tokens.size());
    if (trained_tokens(n_tokens).count < 2 || n_tokens < target.least_tokens()) {
      throw_input_error("{}: {} tokens are too few to train gates on, or for {}", place, n_tokens,
                        target.scorer());
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
  if (fs::exists(config.output)) const Gates checked(config.output);
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

nlohmann::json described(const GateConfig& config, const OpenModel& model, const Policy& target,
                         const std::vector<ProfileContext>& contexts, const std::string& data_hash,
                         const std::string& hash_of_model) {
  nlohmann::json lengths, first, count;
  for (const auto& context : contexts) {
    const auto n_tokens = static_cast<int64_t>(context.tokens.size());
    const Trained trained = trained_tokens(n_tokens);
    lengths.push_back(n_tokens);
    first.push_back(trained.first);
    count.push_back(trained.count);
  }
  const ModelShape shape = model.config.shape();
  return {{"layers", shape.n_layers},
          {"kv_heads", shape.n_kv_heads},
          {"group", shape.n_query_heads / shape.n_kv_heads},
          {"hidden", shape.hidden_size},
          {"width", config.width},
          {"sinks", config.sinks},
          {"steps", config.steps},
          {"tokens", config.tokens},
          {"rate", config.rate},
          {"seed", config.seed},
          {"threads", at::get_num_threads()},
          {"held_out", config.held_out},
          {"lengths", lengths},
          {"first", first},
          {"count", count},
          {"metadata",
           {{"name", config.name},
            {"model", fmt::format("{} ({})", config.model.name, dtype_name(model.dtype))},
            {"model_hash", hash_of_model},
            {"data_hash", data_hash},
            {"target", target.scorer()},
            {"scale", config.ranked ? "rank" : "value"}}}};
}

}  // namespace

TrainedGates train_gates(const GateConfig& config, const StartProgress& start_progress) {
  load_plugins(config.plugins);
  const Policy target = policy_of(config);
  check_output(config);
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  const OpenModel opened = open_model(config.model, config.device);
  target.validate(opened.config.shape(), [&] { return model_hash(config.model.path); });
  const PromptFormat format(config.model.path, config.chat_template);
  const auto [contexts, data_hash] = load_contexts(config.contexts, format);
  check_contexts(config, opened, target, contexts);
  check_weights(opened);
  if (!set_up("python")) {
    throw std::runtime_error("the private Python cannot import torch, which trains the gates");
  }
  const DataFolder data(config.output);
  const nlohmann::json task = described(config, opened, target, contexts, data_hash,
                                        model_hash(config.model.path, start_progress));
  std::ofstream(data.path() / "task.json") << task;
  {
    const Decoder model(config.model.path, opened.dtype, opened.device, start_progress);
    const Advance advance =
        start_progress ? start_progress(static_cast<int64_t>(contexts.size()), 0) : Advance();
    write_gate_data(config, model, target, contexts, format.context_frame(PromptRule()),
                    data.path(), advance);
  }
  const auto judged =
      nlohmann::json::parse(run_script("train_gate.py", {data.path().string()}, "train-gate"));
  replace_file(data.path() / "gates.safetensors", config.output);
  return {task["layers"],        static_cast<int64_t>(contexts.size()) - config.held_out,
          target.scorer(),       judged["spearman"],
          judged["worst_layer"], judged["shared_fifth"]};
}

}  // namespace kvbench
