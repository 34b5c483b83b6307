// A sweep spelt out: which samples, and which (policy, ratio) cells each of them serves.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/config/sweep_config.h"
#include "harness/model/prompt.h"
#include "harness/results/store.h"
#include "harness/sweep/needle.h"
#include "policies/policy.h"
#include "tasks/task.h"

namespace kvbench {

// A sample as token ids, both pieces as the model sees them.
struct PromptSample {
  Sample sample;
  Prompt prompt;
  std::string sample_hash;         // of both pieces' ids
  std::string context_id;          // of the context's
  std::vector<TokenSpan> needles;  // of the context: what the answer is made of, where it is known
  int64_t length = 0;  // tokens: the generator's, the task file's, else prompt and answer

  RowKey key(const std::string& cell_id) const { return {cell_id, sample.id}; }
};

// The samples of one task request under one compress mode: one prefill each serves all cells. They
// are made when they run.
struct SampleGroup {
  TaskRequest request;
  std::string source;    // "generated", or the file as it was written
  std::string compress;  // context, prompt
  std::string group_id;  // hash of everything that decides the prompts and their ends
  std::string data_hash;
  int64_t max_new_tokens = 0;  // of every answer; 0 = as the sample says
  std::shared_ptr<const SampleSource> samples;
  const PromptFormat* format = nullptr;
  const ModelConfig* model = nullptr;

  const Protocol& protocol() const { return samples->protocol(); }
  // Sample i of the source. Throws InputError when it cannot be made, or is too long for the model
  // with its answer.
  PromptSample at(int64_t i) const;
  // Which sample of the source has the number; nullopt: none.
  std::optional<int64_t> index_of(int64_t sample_id) const;
  // Samples that may share a context stand together, in the order of the first of each.
  std::vector<std::vector<int64_t>> by_context() const;
  // About how many tokens the context of sample i has, known without making it: as long as asked,
  // or a quarter of the bytes in the file.
  int64_t about_tokens(int64_t i) const;
  // Of the scorers that draw: the same for a context whatever stands beside it.
  uint64_t seed(const PromptSample& prompt) const;
};

// One policy at one ratio over one group.
struct SweepCell {
  Cell row;
  const Policy* policy = nullptr;
  double ratio = 0;  // what the policy is told; row.ratio is nan where it does not listen

  // Tokens of a context that it keeps on average of a KV head, all at most where its budget is its
  // own.
  int64_t most_kept(int64_t n_tokens) const;
};

// Opens the source of every group. With compress: prompt the question belongs to the context that
// is cut. `identity` is that of the run (identity_text()). A file is known by its first sample,
// wherever it lies and however far it has grown. Throws InputError for missing or bad data, for a
// length that leaves the model no room, and, where the protocol cuts nothing, for a file's sample
// that is longer than the model's positions.
std::vector<SampleGroup> open_groups(const SweepConfig& config, const PromptFormat& format,
                                     const ModelConfig& model, const std::string& identity);

// The ratios at which a policy is run: the full cache once, at 0; a policy with a budget of its own
// once, at nan.
std::vector<double> ratios_of(const Policy& policy, const std::vector<double>& ratios);

// A ratio in texts and identities: "0.8", or "its own budget" for nan.
std::string ratio_name(double ratio);

// What a policy is told: a policy that has its own budget does not read the ratio, but it must
// remove something.
double told_ratio(double ratio);

// The cells of a group in configuration order. Their ids hold what decides their answers.
std::vector<SweepCell> cells_of(const SampleGroup& group, const std::vector<Policy>& policies,
                                const std::vector<double>& ratios);

// Throws InputError when a policy can rank none of a group's contexts: its window is too long.
// Makes samples until one is long enough.
void check_windows(const SampleGroup& group, const std::vector<Policy>& policies);

// What the results file is asked to hold: the samples of `shard`, of those in which shards_of[i]
// makes sample i.
PlannedGroup plan_of(const SampleGroup& group, const std::vector<SweepCell>& cells,
                     const std::vector<int64_t>& shards_of, int64_t shard);

// "[...]", the texts as a JSON list: the columns `references` and `classes`.
std::string json_list(const std::vector<std::string>& texts);

// Hash that tells policies apart, whatever they are called.
std::string policy_id(const Policy& policy);

}  // namespace kvbench
