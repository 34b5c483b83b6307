// model fetch NAME, model check NAME.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/cli/progress_bar.h"
#include "harness/cli/verbs.h"
#include "harness/engine/compress.h"
#include "harness/engine/decode.h"
#include "harness/engine/generate.h"
#include "harness/model/device.h"
#include "harness/model/file_layout.h"
#include "harness/model/hub_fetch.h"
#include "harness/model/open_model.h"
#include "harness/model/prompt.h"
#include "harness/model/rope_config.h"
#include "harness/model/safetensors.h"

namespace kvbench {
namespace {

// A name of configs/models, which may say a revision itself, or of the hub.
ModelSpec fetchable(const std::string& name, const std::string& revision) {
  if (name.find('/') != name.npos) return hub_model(name, revision);
  const ModelSpec spec = named_model(name);
  if (revision.empty()) return spec;
  if (spec.hub.empty()) throw_input_error("--revision: model {} is not of the hub", name);
  return hub_model(spec.hub, revision);
}

void fetch(const std::string& name, const std::string& revision) {
  const ModelSpec spec = fetchable(name, revision);
  if (!spec.hub.empty()) {
    fmt::print("{}\n", fetch_from_hub(spec).string());
    return;
  }
  if (spec.fetch.empty()) {
    throw_input_error("model {} is the folder {}; there is nothing to fetch", name,
                      spec.path.string());
  }
  ensure_model(spec);
  fmt::print("{}\n", spec.path.string());
}

// Loads every part of a folder and says what it is; what is unsupported is an InputError that
// names it.
void check(const std::string& text, const std::string& dtype) {
  ModelSpec spec = resolve_model(text);
  if (!dtype.empty()) spec.dtype = dtype;
  const OpenModel opened = open_model(spec, "cpu");
  ModelConfig config = opened.config;
  const Weights weights(spec.path);
  resolve_by_file(config, weights);
  fmt::print("folder       {}\n", spec.path.string());
  if (!spec.hub.empty()) fmt::print("hub          {} at {}\n", spec.hub, spec.commit);
  fmt::print("family       {}{}{}{}\n", config.model_type, config.qkv_bias ? ", q/k/v biases" : "",
             config.qk_norm ? ", q/k norm" : "", config.tied_embeddings ? ", tied embeddings" : "");
  fmt::print("layers       {} of hidden size {}, MLP {}\n", config.n_layers, config.hidden_size,
             config.intermediate_size);
  fmt::print("heads        {} query, {} KV (group {}), head size {}\n", config.n_heads,
             config.n_kv_heads, config.gqa_group(), config.head_dim);
  const RopeScaling& scaling = config.rope_scaling;
  fmt::print("positions    {}, rope theta {}{}\n", config.max_positions, config.rope_theta,
             scaling.type == RopeScaling::Type::kNone
                 ? ""
                 : fmt::format(", {} scaling by {}", rope_type_name(scaling.type), scaling.factor));
  const auto windowed = std::count_if(config.windows.begin(), config.windows.end(),
                                      [](int64_t window) { return window > 0; });
  if (windowed > 0) {
    fmt::print("windows      {} tokens in {} of the layers\n",
               *std::max_element(config.windows.begin(), config.windows.end()), windowed);
  }
  fmt::print("weights      {} tensors, {} parameters, {} bytes stored as {}\n",
             weights.names().size(), weights.n_parameters(), weights.n_bytes(),
             config.stored_dtype);
  const at::ScalarType scalar = opened.dtype;
  const Decoder model(spec.path, scalar, opened.device, show_progress());
  fmt::print("loaded       {} bytes as {}\n", model.weight_bytes(), dtype_name(scalar));
  fmt::print("KV cache     {} bytes for 1000 tokens{}\n", model.kv_bytes(1000),
             config.n_budgeted_layers() == config.n_layers
                 ? ""
                 : fmt::format(", {} layers of {} without a sliding window",
                               config.n_budgeted_layers(), config.n_layers));

  const PromptFormat format(spec.path, ChatTemplateUse::kAuto);
  fmt::print("tokenizer    {} ids\n", format.tokenizer().vocab_size());
  fmt::print("template     {}\n", template_text(format));
  const auto context = format.context("Say in one sentence what a key-value cache is.");
  const auto question = format.question("", "");
  constexpr int64_t kNewTokens = 48;
  PolicySpec full_spec;
  full_spec.name = "full";
  full_spec.full = true;
  const Policy full(full_spec);
  CompressOptions options;
  Compressed compressed = compress_context(model, context, {{&full, 0.0}}, options);
  const auto answer = generate(model, {compressed.caches[0].growing()}, question,
                               {kNewTokens, format.end_tokens(config)});
  fmt::print("it says      {}\n", format.tokenizer().decode(answer[0].tokens, true));
}

}  // namespace

void add_model(CLI::App& app) {
  auto* verb = app.add_subcommand("model", "fetch a model, or check a model folder");
  verb->require_subcommand(1);
  auto name = std::make_shared<std::string>(), revision = std::make_shared<std::string>();
  auto* fetch_verb = verb->add_subcommand(
      "fetch", "download a model of the Hugging Face Hub, or make one of ours");
  fetch_verb->add_option("name", *name, "a name of configs/models or of the hub (ORG/NAME)")
      ->required();
  fetch_verb->add_option("--revision", *revision, "a branch, tag or commit of the hub; else main");
  fetch_verb->callback([name, revision] { fetch(*name, *revision); });
  auto dir = std::make_shared<std::string>(), dtype = std::make_shared<std::string>();
  auto* check_verb =
      verb->add_subcommand("check", "load a folder, print what it is, say something");
  check_verb->add_option("model", *dir, kWhichModel)->required();
  check_verb->add_option("--dtype", *dtype, "float32, bfloat16 or float16");
  check_verb->callback([dir, dtype] { check(*dir, *dtype); });
}

}  // namespace kvbench
