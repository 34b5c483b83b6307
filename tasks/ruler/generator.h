// A family of RULER tasks that can make its own samples. A family registers itself in its source
// file (KVB_REGISTER(RulerGenerator, ...)); its parameters come from the task's YAML file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/random.h"
#include "tasks/ruler/fit.h"
#include "tasks/ruler/ruler_file.h"
#include "tasks/task.h"

namespace kvbench::ruler {

struct GenerateRequest {
  std::string task;                // named in errors
  int64_t length = 0;              // max_seq_length, tokens
  int64_t samples = 0;             // how many will be asked for
  int64_t tokens_to_generate = 0;  // part of a sample's LENGTH
  uint64_t seed = 0;               // the same seed gives the same bytes
  std::filesystem::path data;      // outside data: essays/, words/, squad/, hotpotqa/
};

// The samples of one request. None is kept; what they share (size, texts, solved example) was made
// at the start.
class RecordSource {
 public:
  virtual ~RecordSource() = default;

  // Sample `line`, 0 <= line < samples; the same whichever were asked for before. May be called
  // from several threads when the counter may. Throws InputError when none fits into the length.
  virtual RulerRecord sample(int64_t line) const = 0;
};

class RulerGenerator {
 public:
  static const char* kind() { return "RULER generator"; }
  virtual ~RulerGenerator() = default;

  // Reads the outside data and finds the size of the samples. Throws InputError when data are
  // missing or malformed, or hold too few questions.
  virtual std::unique_ptr<RecordSource> start(const GenerateRequest& request,
                                              const TokenCounter& count_tokens) const = 0;

  // All samples of the request.
  std::vector<RulerRecord> generate(const GenerateRequest& request,
                                    const TokenCounter& count_tokens) const;
};

// Samples that are sized by fit.h.
class FittedSamples : public RecordSource {
 public:
  RulerRecord sample(int64_t line) const override;

 protected:
  // `answer_prefix` of the family, unfilled; `counted_answer` tokens are part of a LENGTH.
  FittedSamples(FitRule rule, uint64_t seed, int64_t counted_answer, TokenCounter count_tokens,
                std::string_view answer_prefix);

  // Sample `line` over `size` units; nothing when that many cannot hold it.
  virtual std::optional<Draw> draw(int64_t size, int64_t line, Random& random) const = 0;

  // Called once by the constructor of a family: fit_size over probes of sample 0.
  void fit();
  void set_size(int64_t size) { size_ = size; }
  int64_t size() const { return size_; }

  const FitRule& rule() const { return rule_; }
  uint64_t seed() const { return seed_; }
  int64_t counted_answer() const { return counted_answer_; }
  const TokenCounter& count_tokens() const { return count_tokens_; }

 private:
  FitRule rule_;
  uint64_t seed_;
  int64_t counted_answer_;
  TokenCounter count_tokens_;
  std::string answer_prefix_;
  int64_t size_ = 0;
};

// Random numbers of sample `line` alone, whatever the other samples drew; kShared are those of what
// all samples share.
inline constexpr int64_t kShared = -1;
Random random_of(uint64_t seed, int64_t line);

// RULER's "fixed shuffle": a new generator of the task's seed at every use, so all lists of one
// length are permuted alike.
template <class T>
void fixed_shuffle(std::vector<T>& items, uint64_t seed) {
  Random(seed).shuffle(items);
}

// Lines of noise or needles per step: RULER looks closer at short tasks.
inline int64_t noise_step(int64_t length, int64_t step) { return length < 4096 ? 5 : step; }

// The record of sample number `line`: the prompt is cut before the last occurrence of the first 10
// characters of the family's answer prefix, as RULER does; at its end when there is none.
RulerRecord to_record(int64_t line, FittedDraw sample, std::string_view answer_prefix);

}  // namespace kvbench::ruler
