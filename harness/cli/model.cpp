// model fetch NAME, model check DIR.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/cli/verbs.h"
#include "harness/engine/compress.h"
#include "harness/engine/decode.h"
#include "harness/model/device.h"
#include "harness/model/open_model.h"
#include "harness/model/prompt.h"
#include "harness/model/safetensors.h"

namespace kvbench {
namespace {

void fetch(const std::string& name) {
  const ModelSpec spec = named_model(name);
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
  const ModelConfig& config = opened.config;
  const Weights weights(spec.path);
  fmt::print("folder       {}\n", spec.path.string());
  fmt::print("family       {}{}{}{}\n", config.model_type, config.qkv_bias ? ", q/k/v biases" : "",
             config.qk_norm ? ", q/k norm" : "", config.tied_embeddings ? ", tied embeddings" : "");
  fmt::print("layers       {} of hidden size {}, MLP {}\n", config.n_layers, config.hidden_size,
             config.intermediate_size);
  fmt::print("heads        {} query, {} KV (group {}), head size {}\n", config.n_heads,
             config.n_kv_heads, config.gqa_group(), config.head_dim);
  fmt::print("positions    {}, rope theta {}{}\n", config.max_positions, config.rope_theta,
             config.rope_scaling.factor == 1
                 ? ""
                 : fmt::format(", llama3 scaling by {}", config.rope_scaling.factor));
  fmt::print("weights      {} tensors, {} parameters, {} bytes stored as {}\n",
             weights.names().size(), weights.n_parameters(), weights.n_bytes(),
             config.stored_dtype);
  const at::ScalarType scalar = opened.dtype;
  const Decoder model(spec.path, scalar, opened.device);
  fmt::print("loaded       {} bytes as {}\n", model.weight_bytes(), dtype_name(scalar));
  const auto kv_token = 2 * config.n_layers * config.n_kv_heads * config.head_dim *
                        static_cast<int64_t>(c10::elementSize(scalar));
  fmt::print("KV cache     {} bytes a token\n", kv_token);

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
  auto name = std::make_shared<std::string>();
  auto* fetch_verb = verb->add_subcommand("fetch", "make the folder of a model that we can make");
  fetch_verb->add_option("name", *name, "a name of configs/models")->required();
  fetch_verb->callback([name] { fetch(*name); });
  auto dir = std::make_shared<std::string>(), dtype = std::make_shared<std::string>();
  auto* check_verb =
      verb->add_subcommand("check", "load a folder, print what it is, say something");
  check_verb->add_option("model", *dir, "a model folder, or a name of configs/models")->required();
  check_verb->add_option("--dtype", *dtype, "float32, bfloat16 or float16");
  check_verb->callback([dir, dtype] { check(*dir, *dtype); });
}

}  // namespace kvbench
