// fuzz TARGET: damaged files, one after the other, through one of the program's readers.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "harness/base/error.h"
#include "harness/base/paths.h"
#include "harness/fuzz/runner.h"

namespace kvbench::fuzz {
namespace {

std::vector<Target> all_targets() {
  std::vector<Target> all;
  for (const auto& some : {safetensors_targets(), config_targets(), tokenizer_targets(),
                           chat_template_targets(), jsonl_targets(), longbench_targets(),
                           npy_targets(), profile_targets(), results_targets(), yaml_targets()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

int fuzz(const Target& target, const Options& options) {
  const Summary summary = run(target, options);
  for (const Failure& failure : summary.failures) {
    fmt::print("{}: input {}: {}\n  repeat: build/fuzz {} --seed {} --only {}\n", target.name,
               failure.input, failure.what, target.name, options.seed, failure.input);
  }
  fmt::print("{}: seed {}: {} inputs: {} read, {} refused, {} failed", target.name, options.seed,
             summary.inputs, summary.read, summary.refused, summary.failed);
  if (summary.library_crashes > 0) fmt::print(", {} crashes in libhdf5", summary.library_crashes);
  fmt::print("\n");
  return summary.failures.empty() ? 0 : 1;
}

int repeat(const Target& target, uint64_t seed, int64_t input) {
  const std::filesystem::path folder = make_input(target, seed, input);
  fmt::print("{} is kept\n", (folder / target.file).string());
  std::fflush(stdout);
  try {
    target.read(folder);
    fmt::print("read\n");
  } catch (const InputError& error) {
    fmt::print("refused: {}\n", error.what());
  }
  return 0;
}

int main(int argc, char** argv) {
  const std::vector<Target> targets = all_targets();
  std::vector<std::string> names;
  for (const Target& target : targets) names.push_back(target.name);

  CLI::App app("Damaged files through the program's readers; status 1 = something failed");
  std::string name;
  Options options;
  int64_t only = -1;
  app.add_option("target", name, "what is read")->required()->check(CLI::IsMember(names));
  app.add_option("--inputs", options.inputs, "how many files")->capture_default_str();
  app.add_option("--seconds", options.seconds, "run for so long instead");
  app.add_option("--seed", options.seed, "other files")->capture_default_str();
  app.add_option("--only", only, "make this input again, keep it and read it, without catching");
  CLI11_PARSE(app, argc, argv);

  std::filesystem::current_path(project_root());  // what YAML files name stands below it
  for (const Target& target : targets) {
    if (target.name != name) continue;
    return only >= 0 ? repeat(target, options.seed, only) : fuzz(target, options);
  }
  return 1;
}

}  // namespace
}  // namespace kvbench::fuzz

int main(int argc, char** argv) { return kvbench::fuzz::main(argc, argv); }
