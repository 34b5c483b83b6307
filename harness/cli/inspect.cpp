// inspect: what a policy scores and keeps for one text, and what the model then says.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <sstream>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/hdf5.h"
#include "harness/cli/progress_bar.h"
#include "harness/cli/verbs.h"
#include "harness/config/device_word.h"
#include "harness/config/model_spec.h"
#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/decode.h"
#include "harness/engine/generate.h"
#include "harness/model/device.h"
#include "harness/model/open_model.h"
#include "harness/model/prompt.h"
#include "harness/model/provenance.h"
#include "harness/results/store.h"
#include "policies/plugins.h"

namespace kvbench {
namespace {

constexpr const char *kMadeBy = "made_by", *kInspect = "kvbench inspect";

struct InspectOptions {
  std::string model, text, tokens, policy, output, question, dtype, device = "auto";
  std::vector<std::filesystem::path> plugins;
  double ratio = 0;
  int64_t generate = 0;
};

// Token ids, one a line; blank lines are skipped.
std::vector<int32_t> read_ids(const std::string& file) {
  std::istringstream in(read_file(file));
  std::vector<int32_t> ids;
  int line_number = 0;
  for (std::string line; std::getline(in, line);) {
    ++line_number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    int32_t id = 0;
    const auto [end, status] = std::from_chars(line.data(), line.data() + line.size(), id);
    if (status != std::errc() || end != line.data() + line.size()) {
      throw_input_error("{}:{}: expected one token id, got \"{}\"", file, line_number,
                        line.substr(0, 40));
    }
    ids.push_back(id);
  }
  if (ids.empty()) throw_input_error("{}: holds no token ids", file);
  return ids;
}

template <class T>
void write_tensor(const h5::File& file, const std::string& name, const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(at::kCPU).contiguous();
  const auto sizes = host.sizes();
  h5::write_array<T>(file, name, {sizes.begin(), sizes.end()},
                     {host.const_data_ptr<T>(), static_cast<size_t>(host.numel())});
}

template <class T>
void write_vector(const h5::File& file, const std::string& name, const std::vector<T>& values) {
  h5::write_array<T>(file, name, {static_cast<int64_t>(values.size())}, values);
}

// Positions kept, head by head, layer-major, with offsets [L * H + 1].
void write_kept(const h5::File& file, const std::vector<KeptTokens>& layers) {
  std::vector<int32_t> values, offsets = {0};
  for (const auto& kept : layers) {
    values.insert(values.end(), kept.positions.begin(), kept.positions.end());
    for (const auto count : kept.counts()) {
      offsets.push_back(offsets.back() + static_cast<int32_t>(count));
    }
  }
  write_vector(file, "kept_values", values);
  write_vector(file, "kept_offsets", offsets);
}

// Only what inspect wrote itself is written over.
void check_replaceable(const std::filesystem::path& output) {
  if (!std::filesystem::exists(output)) return;
  std::string maker;
  try {
    const h5::File file(output, h5::Mode::kRead);
    if (h5::has_attribute(file, "/", kMadeBy)) {
      maker = h5::read_attribute<std::string>(file, "/", kMadeBy);
    }
  } catch (const std::runtime_error& e) {
    throw_input_error("--output {}", e.what());
  }
  if (maker != kInspect) {
    throw_input_error(
        "--output {}: was not written by inspect, which would overwrite it; choose "
        "another file",
        output.string());
  }
}

void inspect(const InspectOptions& options) {
  if (options.text.empty() == options.tokens.empty()) {
    throw InputError("inspect: expected one of --text and --tokens");
  }
  if (!(options.ratio >= 0 && options.ratio < 1)) {
    throw_input_error("--ratio: expected a share removed in [0, 1), got {}", options.ratio);
  }
  if (options.generate < 0) {
    throw_input_error("--generate: expected at least 0 tokens, got {}", options.generate);
  }
  load_plugins(options.plugins);
  const Policy policy(parse_policy_text(options.policy));
  check_writable(options.output);
  check_replaceable(options.output);
  ModelSpec spec = resolve_model(options.model);
  if (!options.dtype.empty()) spec.dtype = options.dtype;
  const OpenModel opened = open_model(spec, options.device);
  const ModelConfig& config = opened.config;
  policy.validate(config.shape(), [&] { return model_hash(spec.path); });

  // Token ids need no tokenizer, so a folder without one will do for them.
  std::optional<PromptFormat> format;
  const auto tokenizer = [&]() -> const Tokenizer& {
    if (!format) format.emplace(spec.path, ChatTemplateUse::kNo);
    return format->tokenizer();
  };
  const auto context = options.tokens.empty() ? tokenizer().encode(read_file(options.text))
                                              : read_ids(options.tokens);
  std::vector<int32_t> question;
  if (!options.question.empty()) {
    question = options.question.ends_with(".ids") ? read_ids(options.question)
                                                  : tokenizer().encode(read_file(options.question));
  }
  const bool compressed = !policy.is_full() && options.ratio > 0;
  check_prompt("inspect", config, context, question, options.generate, /*n_around=*/0, compressed);

  const Decoder model(spec.path, opened.dtype, opened.device, show_progress());
  std::vector<at::Tensor> scores;
  CompressOptions compress;
  compress.keep_positions = true;
  compress.on_scores = [&](const std::string&, int64_t, const at::Tensor& layer) {
    scores.push_back(layer.to(at::kCPU).clone());
  };
  if (policy.reconstructs()) {
    tokenizer();
    compress.frame = format->context_frame(PromptRule());
  }
  Compressed result = compress_context(model, context, {{&policy, options.ratio}}, compress);
  CompressedCache& cut = result.caches[0];
  if (!cut.error.empty()) throw InputError(cut.error);
  print_device_note(options.device);

  const std::filesystem::path fresh = options.output + ".tmp";
  h5::File file(fresh, h5::Mode::kCreate);
  h5::write_attribute(file, "/", kMadeBy, std::string(kInspect));
  h5::write_attribute(file, "/", "policy", policy.canonical());
  h5::write_attribute(file, "/", "ratio", options.ratio);
  h5::write_attribute(file, "/", "dtype", dtype_name(opened.dtype));
  const int64_t allocated = cut.cache->bytes_allocated();  // before the question makes it grow
  h5::write_attribute(file, "/", "kv_bytes_allocated", allocated);
  h5::write_attribute(file, "/", "kv_bytes_logical", cut.cache->bytes_logical());
  write_vector(file, "tokens", context);
  write_tensor<float>(file, "logits_last", cut.last_logits);
  if (!scores.empty()) write_tensor<float>(file, "scores", at::stack(scores));
  h5::write_array<int32_t>(file, "keep_counts", {config.n_budgeted_layers(), config.n_kv_heads},
                           cut.keep_counts);
  write_kept(file, cut.kept);
  if (options.generate > 0) {
    // No end token stops it: N tokens were asked for.
    const auto answers = generate(model, {cut.growing()}, question, {options.generate, {}});
    if (!answers[0].error.empty()) throw InputError(answers[0].error);
    write_vector(file, "generated", answers[0].tokens);
    if (std::filesystem::exists(spec.path / "tokenizer.json")) {
      fmt::print("{}\n", tokenizer().decode(answers[0].tokens, /*skip_special_tokens=*/true));
    }
  }
  file.close();
  replace_file(fresh, options.output);
  int64_t kept = 0;
  for (const auto count : cut.keep_counts) kept += count;
  const auto entries = static_cast<double>(config.n_budgeted_layers() * config.n_kv_heads) *
                       static_cast<double>(context.size());
  fmt::print("{} at {}: {} context tokens, {:.2f} % of the KV entries kept, {} bytes allocated\n",
             policy.name(), options.ratio, context.size(),
             100 * static_cast<double>(kept) / entries, allocated);
}

}  // namespace

void add_inspect(CLI::App& app) {
  auto* verb = app.add_subcommand("inspect", "what a policy scores and keeps for one text");
  auto options = std::make_shared<InspectOptions>();
  verb->add_option("--model", options->model, kWhichModel)->required();
  verb->add_option("--text", options->text, "the context, a text file");
  verb->add_option("--tokens", options->tokens, "the context as token ids, one a line");
  verb->add_option("--policy", options->policy, "a preset or a policy in YAML flow form")
      ->required();
  verb->add_option("--ratio", options->ratio, "share of KV entries removed, [0, 1)")->required();
  verb->add_option("--output", options->output, "HDF5 file to write")->required();
  verb->add_option("--question", options->question,
                   "run after compression: a text file, or token ids when it ends in .ids");
  verb->add_option("--generate", options->generate, "greedy tokens to generate");
  verb->add_option("--plugin", options->plugins, "shared library that registers policies' parts");
  verb->add_option("--dtype", options->dtype, "float32, bfloat16 or float16");
  verb->add_option("--device", options->device, kDeviceWords)->check([](const std::string& word) {
    return is_device_word(word) ? "" : fmt::format("expected {}, got {}", kDeviceWords, word);
  });
  verb->callback([options] { inspect(*options); });
}

}  // namespace kvbench
