// All cells of one context: one prefill, every policy's cache cut from it, and each question of
// that context asked of all caches together, in a pool where other contexts' caches decode too.
#pragma once

#include <optional>
#include <vector>

#include "harness/base/progress.h"
#include "harness/engine/compress.h"
#include "harness/engine/decode_pool.h"
#include "harness/engine/observed_context.h"
#include "harness/model/decoder.h"
#include "harness/results/store.h"
#include "harness/sweep/cache_space.h"
#include "harness/sweep/cells.h"
#include "harness/sweep/work.h"

namespace kvbench {

// Samples with the same context, in the order of their first sample.
std::vector<std::vector<const PromptSample*>> by_context(const std::vector<PromptSample>& samples);

// What contexts share while they are in work side by side.
struct Workplace {
  DecodePool& pool;
  CacheSpace& space;
};

// What is measured of an answer beside its score.
struct BesideAnswers {
  bool fidelity = false;    // kl_full and top1_full
  bool likelihood = false;  // nll_full

  bool any() const { return fidelity || likelihood; }
};

class ContextRunner {
 public:
  // `on_rows` is told of rows as they are appended.
  ContextRunner(const Decoder& model, const PromptFormat& format, ResultsStore& store,
                BesideAnswers also, Workplace shared, Advance on_rows);

  // Runs what is not in the store yet of the source's samples `members`, which may share a context,
  // and appends it, sample by sample. A sample that cannot be made is an error row of every cell.
  // The work waits for the pool, and for room: cells whose caches do not fit beside one another are
  // cut and asked in waves, each from a prefill of its own. What is passed must outlive it.
  Work run(const SampleGroup& group, const std::vector<SweepCell>& cells,
           std::vector<int64_t> members);

 private:
  // `questions` are samples of one context. Whatever fails ends as the error of the rows that it
  // belongs to; only the store throws. What memory did not suffice for in a wave is tried once
  // more, in halves of it.
  enum class Try { kFirst, kLast };
  Work run_context(const SampleGroup& group, const std::vector<SweepCell>& cells,
                   const std::vector<const PromptSample*>& questions);
  Work run_wave(const SampleGroup& group, const std::vector<const SweepCell*>& cells,
                const std::vector<const PromptSample*>& questions, Try which);
  void fail(const SampleGroup& group, const std::vector<SweepCell>& cells, int64_t sample_id,
            const std::string& error);

  // Bytes of keys and values until the last answer of a context's questions: of a cell, and of what
  // its prefill needs beside the cells.
  int64_t bytes_of(const SweepCell& cell, const std::vector<const PromptSample*>& questions) const;
  int64_t bytes_beside(const std::vector<const SweepCell*>& cells, int64_t n_tokens) const;

  // The cell's rows of one context: what it was cut to, and what compression alone decides.
  struct CutCell {
    const SweepCell* cell;
    CompressedCache cut;
    SampleRow row;
  };
  // What the full cache says to a question, for oracles and BesideAnswers.
  struct FullAnswer {
    const CompressedCache* full = nullptr;  // empty: nobody wants to know
    std::vector<int32_t> said;
    std::string error;  // why it has none
  };

  bool is_open(const SweepCell& cell, const PromptSample& prompt) const;
  bool any_open(const SweepCell& cell, const std::vector<const PromptSample*>& questions) const;
  std::vector<CutCell> with_rows(const std::vector<const SweepCell*>& cells,
                                 std::vector<CompressedCache> caches,
                                 const PromptSample& prompt) const;
  SampleRow compressed_row(const SweepCell& cell, const CompressedCache& cut,
                           const PromptSample& prompt) const;
  // Asks one question of every cell where it is open, and of the full cache when it is wanted and
  // has not answered yet; appends the rows, but on a first try those that memory did not suffice
  // for. `watched`: CompressOptions::watched of the cut. `is_last`: no cell's cache is
  // wanted afterwards but the full one, where its answer is.
  Work answer(const SampleGroup& group, const PromptSample& prompt,
              const std::vector<CutCell>& cells, const std::vector<int64_t>& watched,
              FullAnswer& full, Try which, bool is_last);
  GenerateOptions answer_rules(const SampleGroup& group, const PromptSample& prompt) const;
  void grade_answer(const Generation& answer, const Grading& grading, const Sample& sample,
                    SampleRow& row) const;
  // Adds nll_full to the rows; answers[i] belongs to rows[i].
  void measure_likelihood(const PromptSample& prompt, const FullAnswer& full,
                          const std::vector<Generation>& answers,
                          const std::vector<SampleRow*>& rows) const;
  // Adds kl_full and top1_full to the rows; rows[i] belongs to caches[i].
  void measure_fidelity(const PromptSample& prompt, const FullAnswer& full,
                        const std::vector<GrowingCache>& caches,
                        const std::vector<SampleRow*>& rows) const;
  // What oracles rank by, once the full cache has answered: [L] of [H, T].
  std::vector<at::Tensor> importance(const PromptSample& prompt, const FullAnswer& full,
                                     const Prefilled& prefilled,
                                     std::optional<ObservedContext>& observed) const;

  const Decoder& model_;
  const PromptFormat& format_;
  ResultsStore& store_;
  BesideAnswers also_;
  Workplace shared_;
  Advance on_rows_;
  Policy full_;  // its cache rides along when its answer is wanted and no cell holds it
};

}  // namespace kvbench
