// generate-task: a task file in the benchmark's official format.
#include <fmt/format.h>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/cli/verbs.h"
#include "harness/model/open_model.h"
#include "harness/model/prompt.h"
#include "tasks/ruler/ruler_task.h"

namespace kvbench {
namespace {

struct GenerateTaskOptions {
  std::string benchmark, task, model, output;
  int64_t length = 0, samples = 0;
  uint64_t seed = 42;
};

// Before the work: a large file takes minutes to generate.
void check_output(const std::filesystem::path& output) {
  const auto folder = output.parent_path();
  std::error_code error;
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) {
    throw_input_error("{}: its folder {} cannot be created: {}", output.string(), folder.string(),
                      error.message());
  }
  if (std::filesystem::is_directory(output)) {
    throw_input_error("{}: is a folder, expected a file", output.string());
  }
}

// Writes the file anew beside its name; one that is there must hold the same.
void write_or_compare(const std::filesystem::path& output,
                      const std::vector<RulerRecord>& records) {
  const std::filesystem::path fresh = output.string() + ".tmp";
  write_ruler_file(fresh, records);
  if (std::filesystem::exists(output) && read_file(output) != read_file(fresh)) {
    std::filesystem::remove(fresh);
    throw_input_error("{}: exists and holds something else; remove it or choose another --output",
                      output.string());
  }
  replace_file(fresh, output);
}

void generate_task(const GenerateTaskOptions& options) {
  check_output(options.output);
  const ModelSpec spec = resolve_model(options.model);
  ensure_model(spec);
  const PromptFormat format(spec.path, ChatTemplateUse::kNo);
  const auto records =
      generate_ruler(options.benchmark + "/" + options.task, options.length, options.samples,
                     options.seed, [&](std::string_view text) {
                       return static_cast<int64_t>(format.tokenizer().encode(text).size());
                     });
  write_or_compare(options.output, records);
  fmt::print("{}: {} samples of {}\n", options.output, records.size(), options.task);
}

}  // namespace

void add_generate_task(CLI::App& app) {
  auto* verb = app.add_subcommand("generate-task", "write a task file in the official format");
  auto options = std::make_shared<GenerateTaskOptions>();
  verb->add_option("benchmark", options->benchmark, "ruler or ruler2")
      ->required()
      ->check(CLI::IsMember({"ruler", "ruler2"}));
  verb->add_option("task", options->task, "as in `list tasks`, without the benchmark's name")
      ->required();
  verb->add_option("--length", options->length, "max_seq_length, tokens")->required();
  verb->add_option("--samples", options->samples, "how many")->required();
  verb->add_option("--seed", options->seed, "the same seed gives the same bytes");
  verb->add_option("--model", options->model, std::string("whose tokenizer counts: ") + kWhichModel)
      ->required();
  verb->add_option("--output", options->output, "JSONL file to write")->required();
  verb->callback([options] { generate_task(*options); });
}

}  // namespace kvbench
