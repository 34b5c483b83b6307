// check-policy: does a policy hold to what every policy must?
#include <fmt/format.h>

#include "harness/base/error.h"
#include "harness/base/paths.h"
#include "harness/cli/verbs.h"
#include "harness/config/model_spec.h"
#include "harness/config/policy_yaml.h"
#include "harness/engine/invariants.h"
#include "harness/model/open_model.h"
#include "harness/model/provenance.h"
#include "policies/plugins.h"

namespace kvbench {
namespace {

// Random weights, made once with transformers (in the tree for the tests), or a real model.
Decoder load(const std::string& model, const Policy& policy) {
  if (model.empty()) {
    const auto folder = project_root() / "harness/model/testdata/smollm2";
    const ModelConfig tiny = load_model_config(folder);
    try {
      policy.validate(tiny.shape());
    } catch (const InputError& e) {
      throw_input_error(
          "{}; the tiny model has {} layers of {} KV heads: choose another by --model", e.what(),
          tiny.n_layers, tiny.n_kv_heads);
    }
    return {folder, at::kFloat, at::kCPU};
  }
  const OpenModel opened = open_model(resolve_model(model), "cpu");
  policy.validate(opened.config.shape(), [&] { return model_hash(opened.spec.path); });
  return {opened.spec.path, at::kFloat, at::kCPU};
}

}  // namespace

void add_check_policy(CLI::App& app) {
  struct Options {
    std::string policy, model;
    std::vector<std::filesystem::path> plugins;
  };
  auto* verb = app.add_subcommand("check-policy", "check a policy's invariants on a tiny model");
  auto options = std::make_shared<Options>();
  verb->add_option("policy", options->policy, "a preset or a policy in YAML flow form")->required();
  verb->add_option("--plugin", options->plugins, "shared library that registers its parts");
  verb->add_option(
      "--model", options->model,
      std::string("in place of the tiny model, the one that a profile is for: ") + kWhichModel);
  verb->callback([options] {
    load_plugins(options->plugins);
    const Policy policy(parse_policy_text(options->policy));
    const Decoder model = load(options->model, policy);
    int n_broken = 0;
    for (const auto& result : check_invariants(model, policy)) {
      fmt::print("{:<6} {:<32} {}\n", result.holds ? "ok" : "BROKEN", result.name, result.detail);
      n_broken += result.holds ? 0 : 1;
    }
    if (n_broken > 0) {
      throw std::runtime_error(fmt::format("{} breaks {} invariants", policy.name(), n_broken));
    }
  });
}

}  // namespace kvbench
