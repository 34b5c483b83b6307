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

// Gates r wide with S sinks for a model of this shape.
inline std::filesystem::path write_gates(const std::filesystem::path& file, const ModelShape& model,
                                         const GateValues& values, int64_t r = 4, int64_t S = 2) {
  const int64_t H = model.n_kv_heads, G = model.n_query_heads / H, D = model.hidden_size;
  nlohmann::json header;
  std::vector<float> data;
  for (int64_t l = 0; l < model.n_layers; ++l) {
    const auto add = [&](const std::string& name, const std::vector<int64_t>& shape) {
      int64_t size = 1;
      for (const auto n : shape) size *= n;
      const size_t begin = data.size() * sizeof(float);
      const auto added = values(l, name, size);
      data.insert(data.end(), added.begin(), added.end());
      header["layers." + std::to_string(l) + "." + name] = {
          {"dtype", "F32"},
          {"shape", shape},
          {"data_offsets", {begin, data.size() * sizeof(float)}}};
    };
    add("q_proj.weight", {H * G * r, D});
    add("q_proj.bias", {H * G * r});
    add("k_proj.weight", {H * r, D});
    add("q_norm.weight", {r});
    add("k_norm.weight", {r});
    add("k_base", {H, 1, S, r});
    add("b", {H, 1, G});
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

// What a scorer must be given: `gates` where it reads gates, else nothing.
inline std::vector<Params::Given> with_gates(const std::string& scorer,
                                             const std::filesystem::path& gates) {
  Params defaults;
  Registry<Scorer>::instance().find(scorer).make(defaults);
  for (const auto& parameter : defaults.described()) {
    if (parameter.key == "gate") return {{"gate", gates.string()}};
  }
  return {};
}

// The same as a policy's text: NAME or {name: NAME, gate: FILE}.
inline std::string scorer_text(const std::string& scorer, const std::filesystem::path& gates) {
  if (with_gates(scorer, gates).empty()) return scorer;
  return "{name: " + scorer + ", gate: \"" + gates.string() + "\"}";
}

}  // namespace kvbench
