// check-policy: does a policy hold to what every policy must?
#include <fmt/format.h>

#include "harness/base/error.h"
#include "harness/base/paths.h"
#include "harness/cli/verbs.h"
#include "harness/config/policy_spec.h"
#include "harness/runner/invariants.h"
#include "harness/runner/plugins.h"

namespace kvbench {

void add_check_policy(CLI::App& app) {
  struct Options {
    std::string policy;
    std::vector<std::filesystem::path> plugins;
  };
  auto* verb = app.add_subcommand("check-policy", "check a policy's invariants on a tiny model");
  auto options = std::make_shared<Options>();
  verb->add_option("policy", options->policy, "a preset or a policy in YAML flow form")->required();
  verb->add_option("--plugin", options->plugins, "shared library that registers its parts");
  verb->callback([options] {
    load_plugins(options->plugins);
    const Policy policy(parse_policy_text(options->policy));
    // Random weights, made once with transformers; in the tree for the tests.
    const auto folder = project_root() / "harness/model/testdata/smollm2";
    const Decoder model(folder, at::kFloat, at::kCPU);
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
