// train-gate: trains gates for the scorers `gate` and `attention_gate`.
#include <fmt/format.h>

#include "harness/cli/progress_bar.h"
#include "harness/cli/verbs.h"
#include "harness/profile/gate_training.h"

namespace kvbench {

void add_train_gate(CLI::App& app) {
  struct Options {
    std::string config, output;
    std::vector<std::string> sets;
  };
  auto* verb =
      app.add_subcommand("train-gate", "train gates for the scorers `gate` and `attention_gate`");
  auto options = std::make_shared<Options>();
  verb->add_option("config", options->config, "model, contexts and target, YAML")->required();
  verb->add_option("--set", options->sets, "override a setting: --set training.steps=500");
  verb->add_option("--output", options->output,
                   "safetensors file, in place of the configuration's; gates there are replaced");
  verb->callback([options] {
    GateConfig config = load_gate_config(options->config, options->sets);
    if (!options->output.empty()) config.output = options->output;
    const TrainedGates made =
        train_gates(config, after_device_note(config.device, show_progress()));
    fmt::print("{}: gates of {} layers, trained on what {} says of {} contexts\n",
               config.output.string(), made.n_layers, made.target, made.n_contexts);
    fmt::print("{} held-out contexts: {}\n", config.held_out, made.judged);
  });
}

}  // namespace kvbench
