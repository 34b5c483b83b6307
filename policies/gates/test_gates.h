// For tests: files of gates as train-gate writes them, with any values.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "harness/base/random.h"
#include "policies/scorer.h"

namespace kvbench {

using GateValues =
    std::function<std::vector<float>(int64_t layer, const std::string& tensor, int64_t size)>;

// Around 1 for the norms, else around 0.
inline GateValues random_gate_values() {
  return [random = Random(3)](int64_t, const std::string& tensor, int64_t size) mutable {
    std::vector<float> values;
    const double shift = tensor.find("norm") == std::string::npos ? 0 : 1;
    for (int64_t i = 0; i < size; ++i) {
      values.push_back(static_cast<float>(shift + random.unit() - 0.5));
    }
    return values;
  };
}

using GateShapes = std::vector<std::pair<std::string, std::vector<int64_t>>>;

// A safetensors file of these tensors for each layer.
inline std::filesystem::path write_gate_file(const std::filesystem::path& file, int64_t n_layers,
                                             const GateShapes& tensors, const GateValues& values) {
  nlohmann::json header;
  std::vector<float> data;
  for (int64_t l = 0; l < n_layers; ++l) {
    for (const auto& [name, shape] : tensors) {
      int64_t size = 1;
      for (const auto n : shape) size *= n;
      const size_t begin = data.size() * sizeof(float);
      const auto added = values(l, name, size);
      data.insert(data.end(), added.begin(), added.end());
      header["layers." + std::to_string(l) + "." + name] = {
          {"dtype", "F32"},
          {"shape", shape},
          {"data_offsets", {begin, data.size() * sizeof(float)}}};
    }
  }
  const std::string text = header.dump();
  const uint64_t length = text.size();
  std::ofstream out(file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out << text;
  out.write(reinterpret_cast<const char*>(data.data()),
            static_cast<std::streamsize>(data.size() * sizeof(float)));
  return file;
}

// Gates r wide with S sinks for a model of this shape.
inline std::filesystem::path write_gates(const std::filesystem::path& file, const ModelShape& model,
                                         const GateValues& values, int64_t r = 4, int64_t S = 2) {
  const int64_t H = model.n_kv_heads, G = model.n_query_heads / H, D = model.hidden_size;
  return write_gate_file(file, model.n_layers,
                         {{"q_proj.weight", {H * G * r, D}},
                          {"q_proj.bias", {H * G * r}},
                          {"k_proj.weight", {H * r, D}},
                          {"q_norm.weight", {r}},
                          {"k_norm.weight", {r}},
                          {"k_base", {H, 1, S, r}},
                          {"b", {H, 1, G}}},
                         values);
}

// Attention gates r wide.
inline std::filesystem::path write_attention_gates(const std::filesystem::path& file,
                                                   const ModelShape& model,
                                                   const GateValues& values, int64_t r = 4) {
  const int64_t H = model.n_kv_heads, D = model.hidden_size;
  return write_gate_file(file, model.n_layers,
                         {{"q_proj.weight", {H * r, D}},
                          {"k_proj.weight", {H * r, D}},
                          {"v_proj.weight", {H * r, D}},
                          {"o_proj.weight", {H, r}},
                          {"o_proj.bias", {H}}},
                         values);
}

// Both in a folder, for any scorer that reads gates.
inline std::filesystem::path write_all_gates(const std::filesystem::path& folder,
                                             const ModelShape& model) {
  std::filesystem::create_directories(folder);
  write_gates(folder / "gate", model, random_gate_values());
  write_attention_gates(folder / "attention_gate", model, random_gate_values());
  return folder;
}

// What a scorer must be given: its gates of a folder where it reads any, else nothing.
inline std::vector<Params::Given> with_gates(const std::string& scorer,
                                             const std::filesystem::path& folder) {
  Params defaults;
  Registry<Scorer>::instance().find(scorer).make(defaults);
  for (const auto& parameter : defaults.described()) {
    if (parameter.key == "gate") return {{"gate", (folder / scorer).string()}};
  }
  return {};
}

// The same as a policy's text: NAME or {name: NAME, gate: FILE}.
inline std::string scorer_text(const std::string& scorer, const std::filesystem::path& folder) {
  const auto given = with_gates(scorer, folder);
  if (given.empty()) return scorer;
  return "{name: " + scorer + ", gate: \"" + given[0].text + "\"}";
}

}  // namespace kvbench
