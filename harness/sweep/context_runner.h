// All cells of one context: one prefill, every policy's cache cut from it, and each question of
// that context asked of all caches together.
#pragma once

#include <optional>
#include <vector>

#include "harness/engine/compress.h"
#include "harness/engine/decode.h"
#include "harness/engine/observed_context.h"
#include "harness/model/decoder.h"
#include "harness/results/store.h"
#include "harness/sweep/cells.h"

namespace kvbench {

// Samples with the same context, in the order of their first sample.
std::vector<std::vector<const PromptSample*>> by_context(const std::vector<PromptSample>& samples);

class ContextRunner {
 public:
  // With `fidelity` every answer is also compared with the full cache's, step by step.
  ContextRunner(const Decoder& model, const PromptFormat& format, ResultsStore& store,
                bool fidelity);

  // Runs what is not in the store yet of the source's samples `members`, which may share a context,
  // and appends it, sample by sample. A sample that cannot be made is an error row of every cell.
  // Returns the number of rows.
  int64_t run(const SampleGroup& group, const std::vector<SweepCell>& cells,
              const std::vector<int64_t>& members);

 private:
  // `questions` are samples of one context. Whatever fails ends as the error of the rows that it
  // belongs to; only the store throws. Returns the number of rows.
  int64_t run_context(const SampleGroup& group, const std::vector<SweepCell>& cells,
                      const std::vector<const PromptSample*>& questions);
  int64_t fail(const std::vector<SweepCell>& cells, int64_t sample_id, const std::string& error);

  // The cell's rows of one context: what it was cut to, and what compression alone decides.
  struct CutCell {
    const SweepCell* cell;
    CompressedCache cut;
    SampleRow row;
  };
  // What the full cache says to a question, for oracles and fidelity.
  struct FullAnswer {
    const CompressedCache* full = nullptr;  // empty: nobody wants to know
    std::vector<int32_t> said;
    std::string error;  // why it has none
  };

  bool is_open(const SweepCell& cell, const PromptSample& prompt) const;
  std::vector<CutCell> with_rows(const std::vector<const SweepCell*>& cells,
                                 std::vector<CompressedCache> caches,
                                 const PromptSample& prompt) const;
  SampleRow compressed_row(const SweepCell& cell, const CompressedCache& cut,
                           const PromptSample& prompt) const;
  // Asks one question of every cell where it is open, and of the full cache when it is wanted and
  // has not answered yet; appends the rows and returns their number.
  int64_t answer(const PromptSample& prompt, const Protocol& protocol,
                 const std::vector<CutCell>& cells, FullAnswer& full);
  std::vector<Generation> ask(const PromptSample& prompt, const StopRule& stop,
                              const std::vector<GrowingCache>& contexts,
                              std::vector<int64_t>& bytes_at_end) const;
  void grade_answer(const Generation& answer, const Grading& grading, const Sample& sample,
                    SampleRow& row) const;
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
  bool fidelity_;
  Policy full_;  // its cache rides along when its answer is wanted and no cell holds it
};

}  // namespace kvbench
