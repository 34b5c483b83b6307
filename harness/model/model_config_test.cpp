// What is understood of a config.json, and what is refused.
#include "harness/model/model_config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "harness/base/test_util.h"

namespace kvbench {
namespace {

using nlohmann::json;
using Type = RopeScaling::Type;

const std::filesystem::path kData =
    std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata";

class Configs : public testing::Test {
 protected:
  ModelConfig load(const std::string& text) {
    InTempDir::write("config.json", text);
    return load_model_config(".");
  }
  // A family's defaults with `more` over them.
  ModelConfig load(const std::string& model_type, json more) {
    more["model_type"] = model_type;
    return load(more.dump());
  }
  // "" when it is not refused, else the only line.
  std::string refusal(const std::string& model_type, json more) {
    more["model_type"] = model_type;
    return refusal(more.dump());
  }
  std::string refusal(const std::string& text) {
    const std::string message = error_of([&] { load(text); });
    EXPECT_EQ(message.find('\n'), message.npos) << message;
    EXPECT_TRUE(message.empty() || message.starts_with("./config.json: ")) << message;
    return message;
  }
  void expect_refused(const std::string& model_type, const json& more, const std::string& part) {
    const std::string message = refusal(model_type, more);
    EXPECT_NE(message.find(part), message.npos) << part << " not in: " << message;
  }

 private:
  InTempDir folder_;
};

TEST_F(Configs, MissingKeysHaveTheDefaultsOfTransformers) {
  const auto llama = load("llama", json::object());
  EXPECT_EQ(llama.vocab_size, 32000);
  EXPECT_EQ(llama.n_kv_heads, 32);
  EXPECT_EQ(llama.head_dim, 128);
  EXPECT_EQ(llama.max_positions, 2048);
  EXPECT_EQ(llama.rms_norm_eps, 1e-6);
  EXPECT_EQ(llama.rope_theta, 1e4);
  EXPECT_EQ(llama.end_tokens, std::vector<int64_t>{2});
  EXPECT_EQ(llama.windows, std::vector<int64_t>(32, 0));
  EXPECT_FALSE(llama.tied_embeddings);
  EXPECT_EQ(llama.stored_dtype, "");
  const auto mistral = load("mistral", json::object());
  EXPECT_EQ(mistral.n_kv_heads, 8);
  EXPECT_EQ(mistral.max_positions, 131072);
  EXPECT_EQ(mistral.windows, std::vector<int64_t>(32, 4096));
  const auto qwen3 = load("qwen3", {{"num_attention_heads", 64}, {"num_key_value_heads", nullptr}});
  EXPECT_EQ(qwen3.head_dim, 128);
  EXPECT_EQ(qwen3.n_kv_heads, 64);
  EXPECT_EQ(qwen3.end_tokens, std::vector<int64_t>{});
  EXPECT_EQ(load("qwen2", json::object()).rms_norm_eps, 1e-6);
  // The text part of gemma-3-4b-it says little more than this.
  const auto gemma = load("gemma3", {{"eos_token_id", {1, 106}},
                                     {"torch_dtype", "bfloat16"},
                                     {"text_config",
                                      {{"hidden_size", 2560},
                                       {"intermediate_size", 10240},
                                       {"model_type", "gemma3_text"},
                                       {"num_hidden_layers", 34},
                                       {"rope_scaling", {{"factor", 8.0}, {"rope_type", "linear"}}},
                                       {"sliding_window", 1024}}}});
  EXPECT_EQ(gemma.model_type, "gemma3_text");
  EXPECT_EQ(gemma.vocab_size, 262208);
  EXPECT_EQ(gemma.n_heads, 8);
  EXPECT_EQ(gemma.n_kv_heads, 4);
  EXPECT_EQ(gemma.head_dim, 256);
  EXPECT_EQ(gemma.max_positions, 131072);
  EXPECT_EQ(gemma.windows[4], 1024);
  EXPECT_EQ(gemma.windows[5], 0);
  EXPECT_EQ(gemma.windows[33], 1024);
  EXPECT_TRUE(gemma.local_rope(4));
  EXPECT_FALSE(gemma.local_rope(5));
  EXPECT_EQ(gemma.rope_theta, 1e6);
  EXPECT_EQ(gemma.local_rope_theta, 1e4);
  EXPECT_EQ(gemma.rope_scaling.type, Type::kLinear);
  EXPECT_EQ(gemma.attention_scale, 1.0 / 16);
  EXPECT_EQ(gemma.embedding_scale, std::sqrt(2560.0));
  EXPECT_EQ(gemma.activation, Activation::kGeluTanh);
  EXPECT_TRUE(gemma.tied_embeddings && gemma.norm_plus_one && gemma.sandwich_norms &&
              gemma.qk_norm);
  EXPECT_EQ(gemma.end_tokens, (std::vector<int64_t>{1, 106}));
  EXPECT_EQ(gemma.stored_dtype, "bfloat16");
}

TEST_F(Configs, NullHeadSizeIsTheHiddenSizeByHeads) {
  for (const char* type : {"llama", "mistral", "qwen2", "qwen3"}) {
    EXPECT_EQ(load(type, {{"head_dim", nullptr}, {"num_key_value_heads", 8}}).head_dim, 128);
  }
  expect_refused("llama", {{"hidden_size", 2}, {"num_attention_heads", 4}},
                 "head size 0: expected");
  expect_refused("llama", {{"head_dim", 0}}, "head_dim: expected an integer from 1");
  expect_refused("llama", {{"head_dim", 15}}, "head size 15: expected an even number");
  expect_refused("llama", {{"num_attention_heads", 32}, {"num_key_value_heads", 5}},
                 "32 attention heads are not a multiple of 5");
}

TEST_F(Configs, WindowsAreThoseOfTheLayers) {
  using Windows = std::vector<int64_t>;
  const auto windows = [&](const std::string& type, json more) {
    more["num_hidden_layers"] = 3;
    return load(type, more).windows;
  };
  EXPECT_EQ(windows("llama", {{"sliding_window", 8}}), (Windows{0, 0, 0}));
  EXPECT_EQ(windows("mistral", {{"sliding_window", 8}}), (Windows{8, 8, 8}));
  EXPECT_EQ(windows("mistral", {{"sliding_window", nullptr}}), (Windows{0, 0, 0}));
  const json types = {"full_attention", "sliding_attention", "full_attention"};
  EXPECT_EQ(windows("mistral", {{"layer_types", types}, {"sliding_window", 8}}),
            (Windows{0, 8, 0}));
  for (const char* qwen : {"qwen2", "qwen3"}) {
    EXPECT_EQ(windows(qwen, {{"sliding_window", 8}, {"max_window_layers", 1}}), (Windows{0, 0, 0}));
    json used = {{"sliding_window", 8}, {"max_window_layers", 1}, {"use_sliding_window", true}};
    EXPECT_EQ(windows(qwen, used), (Windows{0, 8, 8}));
    used["max_window_layers"] = 3;
    EXPECT_EQ(windows(qwen, used), (Windows{0, 0, 0}));
    used["layer_types"] = types;
    EXPECT_EQ(windows(qwen, used), (Windows{0, 8, 0}));
    used["use_sliding_window"] = false;
    used["num_hidden_layers"] = 3;
    expect_refused(qwen, used, "layer_types[1]: sliding_attention, but no sliding_window");
  }
  EXPECT_EQ(windows("gemma3_text", {{"sliding_window_pattern", 2}}), (Windows{4096, 0, 4096}));
  EXPECT_EQ(load("mistral", {{"sliding_window", 8}}).max_positions, 131072);
  expect_refused("mistral", {{"sliding_window", 0}}, "sliding_window: expected an integer from 1");
  expect_refused("mistral", {{"sliding_window", "8"}}, "sliding_window: expected an integer");
  expect_refused("qwen3", {{"layer_types", {"full_attention"}}}, "1 layer types for 32 layers");
  expect_refused("mistral", {{"num_hidden_layers", 1}, {"layer_types", {"chunked_attention"}}},
                 "unknown layer type \"chunked_attention\"");
  expect_refused("gemma3_text", {{"sliding_window", nullptr}}, "\"sliding_window\" is missing");
}

TEST_F(Configs, RopeInEitherFormIsTheSame) {
  const json yarn = {{"factor", 4.0}, {"original_max_position_embeddings", 64}};
  const auto with = [](json base, const json& more) {
    base.update(more);
    return base;
  };
  const json size = {{"max_position_embeddings", 256}};
  const std::vector<json> forms = {
      {{"rope_theta", 5e5}, {"rope_scaling", with(yarn, {{"type", "yarn"}})}},
      {{"rope_theta", 5e5},
       {"rope_scaling", with(yarn, {{"rope_type", "yarn"}, {"type", "yarn"}})}},
      {{"rope_scaling", with(yarn, {{"rope_type", "yarn"}, {"rope_theta", 5e5}})}},
      {{"rope_parameters", with(yarn, {{"rope_type", "yarn"}, {"rope_theta", 5e5}})}},
      {{"rope_theta", 500000},
       {"rope_scaling", with(yarn, {{"rope_type", "yarn"}})},
       {"rope_parameters", with(yarn, {{"rope_type", "yarn"}, {"rope_theta", 5e5}})}},
      {{"rope_parameters", {{"rope_theta", 5e5}}},
       {"rope_scaling", with(yarn, {{"rope_type", "yarn"}})}},
      {{"rope_theta", 5e5},
       {"original_max_position_embeddings", 64},
       {"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}}},
      {{"rope_theta", 5e5},
       {"rope_scaling",
        {{"rope_type", "yarn"}, {"factor", nullptr}, {"original_max_position_embeddings", 64}}}},
  };
  for (const auto& form : forms) {
    const auto config = load("qwen2", with(form, size));
    EXPECT_EQ(config.rope_theta, 5e5) << form;
    EXPECT_EQ(config.rope_scaling, (RopeScaling{.type = Type::kYarn,
                                                .factor = 4,
                                                .original_max_positions = 64,
                                                .attention_factor = 0.1 * std::log(4.0) + 1}))
        << form;
  }
  // Nothing said twice is nothing.
  for (const json& none : {json(nullptr), json::object()}) {
    const auto plain =
        load("llama", {{"rope_theta", 7.0}, {"rope_scaling", none}, {"rope_parameters", none}});
    EXPECT_EQ(plain.rope_theta, 7);
    EXPECT_EQ(plain.rope_scaling, RopeScaling{});
  }
  const json flat = {{"rope_theta", 3e5},
                     {"rope_local_base_freq", 2e4},
                     {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}}};
  const json by_layer = {
      {"rope_parameters",
       {{"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 3e5}}},
        {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 2e4}}}}}};
  for (const auto& form : {flat, by_layer}) {
    const auto gemma = load("gemma3_text", form);
    EXPECT_EQ(gemma.rope_theta, 3e5);
    EXPECT_EQ(gemma.local_rope_theta, 2e4);
    EXPECT_EQ(gemma.rope_scaling.type, Type::kLinear);
    EXPECT_EQ(gemma.rope_scaling.factor, 8);
  }
}

TEST_F(Configs, RopeFormsThatDisagreeAreRefused) {
  const json llama3 = {{"rope_type", "llama3"},
                       {"factor", 8.0},
                       {"low_freq_factor", 1.0},
                       {"high_freq_factor", 4.0},
                       {"original_max_position_embeddings", 32}};
  const json plain = {{"rope_type", "default"}, {"rope_theta", 1e4}};
  expect_refused("llama",
                 {{"rope_theta", 5e5}, {"rope_scaling", llama3}, {"rope_parameters", plain}},
                 "rope_theta is 500000, rope_parameters.rope_theta is 10000: expected one value");
  expect_refused("llama", {{"rope_scaling", llama3}, {"rope_parameters", plain}},
                 "rope_scaling says llama3, rope_parameters default: expected the same");
  json other = llama3;
  other["factor"] = 4.0;
  expect_refused("llama", {{"rope_scaling", llama3}, {"rope_parameters", other}},
                 "rope_scaling says llama3, rope_parameters llama3 with other numbers");
  expect_refused("llama", {{"rope_scaling", llama3}, {"original_max_position_embeddings", 64}},
                 "is 32, original_max_position_embeddings beside it 64");
  expect_refused(
      "llama", {{"rope_scaling", {{"type", "linear"}, {"rope_type", "dynamic"}, {"factor", 2.0}}}},
      "rope_type is dynamic, type linear");
  expect_refused("llama", {{"rope_scaling", {{"factor", 2.0}}}}, "\"rope_type\" is missing");
  expect_refused("llama", {{"rope_scaling", {{"type", "longrope"}, {"factor", 2.0}}}},
                 "unknown rope_type \"longrope\"");
  expect_refused("llama", {{"rope_scaling", {{"type", "linear"}}}}, "\"factor\" is missing");
  expect_refused("llama", {{"rope_scaling", {{"type", "linear"}, {"factor", 1e9}}}},
                 "rope_scaling.factor: expected a number up to");
  expect_refused("llama", {{"rope_scaling", {{"type", "linear"}, {"factor", -1}}}},
                 "rope_scaling.factor: expected a positive number, got -1");
  expect_refused("llama", {{"partial_rotary_factor", 0.5}}, "partial_rotary_factor: expected 1");
  expect_refused("qwen3", {{"rope_parameters", {{"full_attention", plain}}}},
                 "qwen3 has one RoPE for all layers");
  expect_refused("gemma3_text", {{"rope_parameters", plain}},
                 "rope_parameters: expected full_attention and sliding_attention");
  expect_refused(
      "gemma3_text",
      {{"rope_parameters", {{"sliding_attention", {{"rope_type", "linear"}, {"factor", 2.0}}}}}},
      "expected rope_type default for sliding_attention");
}

TEST_F(Configs, ScalingStretchesPositions) {
  const auto positions = [&](const std::string& type, const json& scaling) {
    return load(type, {{"max_position_embeddings", 100}, {"rope_scaling", scaling}}).max_positions;
  };
  EXPECT_EQ(positions("llama", {{"type", "linear"}, {"factor", 2.5}}), 250);
  EXPECT_EQ(positions("llama", {{"type", "dynamic"}, {"factor", 4}}), 400);
  EXPECT_EQ(positions("llama", {{"type", "yarn"}, {"factor", 4}}), 400);
  EXPECT_EQ(positions("llama",
                      {{"type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 25}}),
            100);
  EXPECT_EQ(positions("llama", {{"type", "llama3"},
                                {"factor", 4},
                                {"low_freq_factor", 1},
                                {"high_freq_factor", 4},
                                {"original_max_position_embeddings", 25}}),
            100);
  EXPECT_EQ(positions("gemma3_text", {{"rope_type", "linear"}, {"factor", 8}}), 100);
}

TEST_F(Configs, YarnMagnitude) {
  const auto factor = [&](json scaling) {
    scaling["type"] = "yarn";
    scaling["factor"] = 40;
    return load("llama", {{"rope_scaling", scaling}}).rope_scaling.attention_factor;
  };
  const double log = std::log(40.0);
  EXPECT_DOUBLE_EQ(factor(json::object()), 0.1 * log + 1);
  EXPECT_DOUBLE_EQ(factor({{"attention_factor", 0.75}}), 0.75);
  EXPECT_DOUBLE_EQ(factor({{"mscale", 2}, {"mscale_all_dim", 0.5}}),
                   (0.1 * 2 * log + 1) / (0.1 * 0.5 * log + 1));
  EXPECT_DOUBLE_EQ(factor({{"mscale", 2}}), 0.1 * log + 1);  // transformers wants both
}

TEST_F(Configs, NamesWithTheSameMeaning) {
  EXPECT_EQ(load("llama", {{"hidden_act", "swish"}}).activation, Activation::kSilu);
  EXPECT_EQ(load("llama", {{"hidden_act", "gelu_pytorch_tanh"}}).activation, Activation::kGeluTanh);
  EXPECT_EQ(load("qwen2", {{"hidden_act", "gelu_new"}}).activation, Activation::kGeluTanh);
  expect_refused("llama", {{"hidden_act", "gelu"}}, "hidden_act: expected silu, swish or gelu_p");
  const std::vector<std::pair<std::string, std::string>> dtypes = {{"float32", "float32"},
                                                                   {"torch.float32", "float32"},
                                                                   {"float", "float32"},
                                                                   {"float64", "float32"},
                                                                   {"half", "float16"},
                                                                   {"float16", "float16"},
                                                                   {"bfloat16", "bfloat16"},
                                                                   {"bf16", "bfloat16"},
                                                                   {"torch.bfloat16", "bfloat16"},
                                                                   {"auto", ""}};
  for (const auto& [spelt, meant] : dtypes) {
    EXPECT_EQ(load("llama", {{"torch_dtype", spelt}}).stored_dtype, meant);
    EXPECT_EQ(load("llama", {{"dtype", spelt}, {"torch_dtype", "float16"}}).stored_dtype, meant);
  }
  expect_refused("llama", {{"dtype", "float8_e4m3fn"}}, "dtype: expected float32, bfloat16 or");
}

TEST_F(Configs, OptionsThatTheForwardPassLacksAreRefused) {
  expect_refused("gemma3_text", {{"attn_logit_softcapping", 50.0}}, "attn_logit_softcapping: soft");
  expect_refused("gemma3_text", {{"final_logit_softcapping", 30.0}}, "final_logit_softcapping: so");
  expect_refused("gemma3_text", {{"use_bidirectional_attention", true}},
                 "use_bidirectional_attention: attention to later");
  expect_refused("llama", {{"quantization_config", {{"quant_method", "fp8"}}}}, "quantised");
  expect_refused("gemma3", {{"text_config", json::object()}, {"quantization_config", {{"a", 1}}}},
                 "quantised");
  expect_refused("gemma3", json::object(), "\"text_config\" is missing");
  expect_refused("gemma2", json::object(), "unknown model_type \"gemma2\"");
}

// Python's json writes these words. Where nobody reads them they are no matter.
TEST_F(Configs, NumbersThatJsonDoesNotKnow) {
  EXPECT_EQ(
      load(R"({"model_type": "llama", "some_limit": Infinity, "a": [-Infinity, NaN]})").head_dim,
      128);
  EXPECT_EQ(
      load(R"({"model_type": "llama", "NaN \"Infinity": "Infinity", "head_dim": 64})").head_dim,
      64);
  EXPECT_NE(refusal(R"({"model_type": "llama", "rms_norm_eps": Infinity})")
                .find("rms_norm_eps: expected a positive number, got \"Infinity\""),
            std::string::npos);
  EXPECT_NE(refusal(R"({"model_type": "llama", "rope_theta": NaN})").find("got \"NaN\""),
            std::string::npos);
  EXPECT_NE(
      refusal(R"({"model_type": "llama", "x": 1e999})").find("a number is too large: '1e999'"),
      std::string::npos);
  EXPECT_NE(refusal(R"({"model_type": "llama", Infinity})").find("not valid JSON"),
            std::string::npos);
}

TEST_F(Configs, EndTokens) {
  using Ids = std::vector<int64_t>;
  EXPECT_EQ(load("llama", {{"eos_token_id", nullptr}}).end_tokens, Ids{});
  EXPECT_EQ(load("llama", {{"eos_token_id", {5, 6}}}).end_tokens, (Ids{5, 6}));
  InTempDir::write("generation_config.json", R"({"eos_token_id": 7})");
  EXPECT_EQ(load("llama", {{"eos_token_id", 5}}).end_tokens, Ids{7});
  InTempDir::write("generation_config.json", R"({"eos_token_id": null, "temperature": Infinity})");
  EXPECT_EQ(load("llama", {{"eos_token_id", 5}}).end_tokens, Ids{5});
}

}  // namespace
}  // namespace kvbench
