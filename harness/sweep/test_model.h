// For tests: a folder with a small random model of eight layers that fits the tests' tokenizer, and
// lines of a task file.
#pragma once

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "harness/base/random.h"

namespace kvbench::test_model {

inline constexpr int64_t kLayers = 8, kHeads = 2;

inline void write(const std::filesystem::path& folder) {
  constexpr int64_t kHidden = 32, kInner = 48, kHeadDim = 16, kQueryHeads = 4, kVocab = 742;
  std::filesystem::create_directories(folder);
  std::filesystem::copy(
      std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/text/testdata/smollm.json",
      folder / "tokenizer.json", std::filesystem::copy_options::overwrite_existing);
  const nlohmann::json config = {{"model_type", "llama"},
                                 {"architectures", {"LlamaForCausalLM"}},
                                 {"vocab_size", kVocab},
                                 {"hidden_size", kHidden},
                                 {"intermediate_size", kInner},
                                 {"num_hidden_layers", kLayers},
                                 {"num_attention_heads", kQueryHeads},
                                 {"num_key_value_heads", kHeads},
                                 {"head_dim", kHeadDim},
                                 {"max_position_embeddings", 4096},
                                 {"rms_norm_eps", 1e-5},
                                 {"rope_theta", 10000.0},
                                 {"hidden_act", "silu"},
                                 {"tie_word_embeddings", true},
                                 {"eos_token_id", 2},
                                 {"torch_dtype", "float32"}};
  std::ofstream(folder / "config.json") << config;

  nlohmann::json header;
  std::vector<float> values;
  Random random(11);
  const auto add = [&](const std::string& name, const std::vector<int64_t>& shape, double scale,
                       double shift) {
    int64_t size = 1;
    for (const auto n : shape) size *= n;
    const size_t begin = values.size() * sizeof(float);
    for (int64_t i = 0; i < size; ++i) {
      values.push_back(static_cast<float>(shift + scale * (2 * random.unit() - 1)));
    }
    header[name] = {{"dtype", "F32"},
                    {"shape", shape},
                    {"data_offsets", {begin, values.size() * sizeof(float)}}};
  };
  add("model.embed_tokens.weight", {kVocab, kHidden}, 1, 0);
  add("model.norm.weight", {kHidden}, 0.1, 1);
  for (int64_t l = 0; l < kLayers; ++l) {
    const std::string layer = "model.layers." + std::to_string(l) + ".";
    add(layer + "input_layernorm.weight", {kHidden}, 0.1, 1);
    add(layer + "post_attention_layernorm.weight", {kHidden}, 0.1, 1);
    add(layer + "self_attn.q_proj.weight", {kQueryHeads * kHeadDim, kHidden}, 0.5, 0);
    add(layer + "self_attn.k_proj.weight", {kHeads * kHeadDim, kHidden}, 0.5, 0);
    add(layer + "self_attn.v_proj.weight", {kHeads * kHeadDim, kHidden}, 0.5, 0);
    add(layer + "self_attn.o_proj.weight", {kHidden, kQueryHeads * kHeadDim}, 0.3, 0);
    add(layer + "mlp.gate_proj.weight", {kInner, kHidden}, 0.3, 0);
    add(layer + "mlp.up_proj.weight", {kInner, kHidden}, 0.3, 0);
    add(layer + "mlp.down_proj.weight", {kHidden, kInner}, 0.3, 0);
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  std::ofstream weights(folder / "model.safetensors", std::ios::binary);
  weights.write(reinterpret_cast<const char*>(&length), sizeof(length));
  weights << text;
  weights.write(reinterpret_cast<const char*>(values.data()),
                static_cast<std::streamsize>(values.size() * sizeof(float)));
}

// A line of a RULER file of ruler/qa_1.
inline std::string qa_line(const std::string& context, const std::string& question,
                           const std::string& answer) {
  return nlohmann::json(
             {{"input",
               context + "\nAnswer the question based on the given documents. " + question},
              {"answer_prefix", " Answer:"},
              {"outputs", {answer}}})
             .dump() +
         "\n";
}

}  // namespace kvbench::test_model
