// For the tests of this folder: a model that runs in milliseconds, and contexts for it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/model/decoder.h"
#include "policies/reconstruction.h"

namespace kvbench {

// Two layers of two KV heads, 96 token ids: heads and layers have something to compete for.
inline const Decoder& tiny_model() {
  static const Decoder model(
      std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata/llama31", at::kFloat,
      at::kCPU);
  return model;
}

// A context of n tokens; other factors, other contexts.
inline std::vector<int32_t> some_tokens(int64_t n, int64_t factor = 37) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < n; ++i) {
    tokens.push_back(static_cast<int32_t>((i * factor + i / 7) % 96));
  }
  return tokens;
}

// What might stand around it: the first three tokens are a chat head; a word's ids are its bytes.
inline ContextFrame some_frame() {
  return {3, {5, 6}, [](const std::string& text) {
            std::vector<int32_t> ids;
            for (const char c : text) ids.push_back(static_cast<unsigned char>(c) % 96);
            return ids;
          }};
}

}  // namespace kvbench
