// All cells of one context: one prefill, every policy's cache cut from it, and each question of
// that context asked of all caches together.
#pragma once

#include <vector>

#include "harness/engine/compress.h"
#include "harness/engine/decode.h"
#include "harness/model/decoder.h"
#include "harness/results/store.h"
#include "harness/sweep/cells.h"

namespace kvbench {

// Samples with the same context tokens, in the order of their first sample.
std::vector<std::vector<const PromptSample*>> by_context(const std::vector<PromptSample>& samples);

class ContextRunner {
 public:
  // With `fidelity` every answer is also compared with the full cache's, step by step.
  ContextRunner(const Decoder& model, const PromptFormat& format, ResultsStore& store,
                bool fidelity);

  // Runs what is not in the store yet and appends it, sample by sample. `questions` are all samples
  // of one context. Returns the number of rows.
  int64_t run(const SampleGroup& group, const std::vector<SweepCell>& cells,
              const std::vector<const PromptSample*>& questions);

 private:
  // Cells whose caches were cut from one context.
  struct CutCells {
    std::vector<const SweepCell*> cells;
    std::vector<CompressedCache> caches;  // of the cells
    std::vector<SampleRow> rows;          // of the cells: what compression alone decides
    CompressedCache full;                 // if asked for
    Prefilled prefilled;                  // if asked for
  };
  // The full cache, if it rides along, and what it answers.
  struct FullAnswer {
    GrowingCache cache;
    std::vector<int32_t> said;
  };

  bool is_finished(const SweepCell& cell, const PromptSample& prompt) const;
  CutCells cut_cells(const PromptSample& prompt, const std::vector<const SweepCell*>& cells,
                     bool with_full, const CompressOptions& options) const;
  // Out of a context that has been read.
  CutCells cut_cells(const PromptSample& prompt, const std::vector<const SweepCell*>& cells,
                     const Prefilled& prefilled, const CompressOptions& options) const;
  // Asks one question of every cell where it is open, and of the full cache unless it has answered;
  // appends the rows and returns their number.
  int64_t answer(const SampleGroup& group, const PromptSample& prompt, const CutCells& cut,
                 FullAnswer& full);
  SampleRow compressed_row(const SweepCell& cell, const CompressedCache& cut,
                           const PromptSample& prompt) const;
  void grade_answer(const Generation& answer, const std::string& metric, const Sample& sample,
                    SampleRow& row) const;
  // rows[cell_of_cache[i]] belongs to caches[i].
  void measure_fidelity(const PromptSample& prompt, const FullAnswer& full,
                        const std::vector<GrowingCache>& caches,
                        const std::vector<size_t>& cell_of_cache,
                        std::vector<SampleRow>& rows) const;

  const Decoder& model_;
  const PromptFormat& format_;
  ResultsStore& store_;
  bool fidelity_;
  Policy full_;  // its cache rides along when its answer is wanted
};

}  // namespace kvbench
