// A family of RULER tasks that can make its own samples. A family registers itself in its source
// file (KVB_REGISTER(RulerGenerator, ...)); its parameters come from the task's YAML file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/random.h"
#include "tasks/ruler/fit.h"
#include "tasks/ruler/ruler_file.h"
#include "tasks/task.h"

namespace kvbench::ruler {

struct GenerateRequest {
  std::string task;    // named in errors
  int64_t length = 0;  // max_seq_length, tokens
  int64_t samples = 0;
  int64_t tokens_to_generate = 0;  // part of a sample's LENGTH
  uint64_t seed = 0;               // the same seed gives the same bytes
  std::filesystem::path data;      // outside data: essays/ and words/
};

class RulerGenerator {
 public:
  static const char* kind() { return "RULER generator"; }
  virtual ~RulerGenerator() = default;

  // Throws InputError when outside data is missing or no sample fits into the length. The first n
  // samples do not depend on how many are asked for.
  virtual std::vector<RulerRecord> generate(const GenerateRequest& request,
                                            const TokenCounter& count_tokens) const = 0;
};

// RULER's "fixed shuffle": a new generator of the task's seed at every use, so all lists of one
// length are permuted alike.
template <class T>
void fixed_shuffle(std::vector<T>& items, uint64_t seed) {
  Random(seed).shuffle(items);
}

// Lines of noise or needles per step: RULER looks closer at short tasks.
inline int64_t noise_step(int64_t length, int64_t step) { return length < 4096 ? 5 : step; }

// The record of sample number `line`: the prompt is cut before the last occurrence of the first 10
// characters of the family's answer prefix, as RULER does. `index` is left to the family.
RulerRecord to_record(int64_t line, FittedDraw sample, std::string_view answer_prefix);

}  // namespace kvbench::ruler
