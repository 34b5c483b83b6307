// All cells of one context: one prefill, every policy's cache cut from it, and each question of
// that context asked of all caches together.
#pragma once

#include <optional>
#include <vector>

#include "harness/model/decoder.h"
#include "harness/results/store.h"
#include "harness/runner/cells.h"
#include "harness/runner/compress.h"
#include "harness/runner/generate.h"

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
  bool is_finished(const SweepCell& cell, const PromptSample& prompt) const;
  SampleRow compressed_row(const SweepCell& cell, const CompressedCache& cut,
                           const PromptSample& prompt) const;
  void grade_answer(const Generation& answer, const std::string& metric, const Sample& sample,
                    SampleRow& row) const;
  // `full` said `said`; rows[cell_of_cache[i]] belongs to caches[i].
  void measure_fidelity(const PromptSample& prompt, const GrowingCache& full,
                        const std::vector<int32_t>& said, const std::vector<GrowingCache>& caches,
                        const std::vector<size_t>& cell_of_cache,
                        std::vector<SampleRow>& rows) const;

  const Decoder& model_;
  const PromptFormat& format_;
  ResultsStore& store_;
  std::optional<Policy> full_;  // its cache rides along when fidelity is measured
};

}  // namespace kvbench
