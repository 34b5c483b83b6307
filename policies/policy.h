// A policy ready to run: scorer, allocator and protection made from what the user wrote.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "policies/allocator.h"
#include "policies/eviction_rule.h"
#include "policies/kept.h"
#include "policies/policy_spec.h"
#include "policies/reconstruction.h"
#include "policies/scorer.h"
#include "policies/weighting.h"

namespace kvbench {

// Scores of a layer, float32 [H, T], and what its tokens carry on (Scorer::carry()).
struct Scored {
  at::Tensor scores, carried;
};

// Where a policy's parts come from, besides this program.
struct PartSources {
  std::string file_hashes;        // "PATH sha256" lines
  std::set<std::string> plugins;  // "NAME sha256"
};

class Policy {
 public:
  // Throws InputError (with the place of the specification) for unknown scorers, allocators and
  // parameters.
  explicit Policy(const PolicySpec& spec);

  const std::string& name() const { return name_; }
  bool is_full() const { return scorer_ == nullptr; }

  // Name and parameters in effect, "snapkv(kernel=7,...)"; "" for full. Policies with the same
  // scorer share its scores.
  const std::string& scorer() const { return scorer_label_; }
  const std::string& allocator() const { return allocator_label_; }
  // Scorer, allocator and protection together: the identity of the policy, without its name and
  // without any path: files and plug-ins count by their content.
  std::string canonical() const;

  // Throws InputError when the policy cannot run on such a model, or its allocator not with the
  // rest of it. model_hash: of the model's files, called only if it matters; empty = not known.
  void validate(const ModelShape& model, std::function<std::string()> model_hash = {}) const;

  // The budgets are the same at every ratio: one run stands for all of them.
  bool ignores_ratio() const {
    return (allocator_ != nullptr && allocator_->ignores_ratio()) ||
           (decode_ && decode_->cuts_prefill());
  }

  // Tokens that are prefilled at a time, the cache being cut after each of them; 0 = the whole
  // context at once with full attention.
  int64_t chunk() const { return chunk_; }
  // The prefill attends to what stays: each layer is cut before its attention, in which a token
  // sees of the ones before it those that its head keeps, and itself.
  bool attends_kept() const { return attend_ == Attend::kKept; }
  // The cut after every chunk: as soon as a head is above its budget, by the policy's own scorer.
  EvictionRule chunk_rule() const;
  // Eviction while decoding, if any.
  const std::optional<EvictionRule>& decode() const { return decode_; }

  // The fewest tokens of a context that the scorer can rank; 0 for full, and where the prefill is
  // cut by the rule of decoding alone, which ranks nothing that the scorer cannot.
  int64_t least_tokens() const {
    return is_full() || (decode_ && decode_->cuts_prefill()) ? 0 : scorer_->least_tokens();
  }

  // Scores of a layer before protection. Not for full. Throws InputError for fewer tokens than
  // that, and std::runtime_error for scores that are none (check_scores()).
  Scored score(const LayerView& layer) const;

  // "PATH sha256" of every file that the policy's parts read, one a line.
  const std::string& file_hashes() const { return sources_.file_hashes; }
  // "NAME sha256" of every plug-in that they come from, one a line.
  std::string plugin_hashes() const;

  // Something besides the scores decides which tokens stay: a weighting, or the budget itself.
  bool ranks_by_budget() const {
    return weighting_ != nullptr || (!is_full() && scorer_->ranks_by_budget());
  }
  int64_t skip_layers() const { return is_full() ? 0 : scorer_->skip_layers(); }
  bool reads_hidden_states() const {
    return !is_full() &&
           (scorer_->reads_hidden_states() || (decode_ && decode_->scorer->reads_hidden_states()));
  }
  // An oracle: its context is cut once the full cache has answered.
  bool needs_answer() const { return !is_full() && scorer_->needs_answer(); }
  // It looks at a layer's queries once more when all have been scored.
  bool reads_queries_late() const { return ranks_by_budget() || decode_.has_value(); }
  // Its scorer's passes over the prefilled context (Scorer::reconstruct()).
  bool reconstructs() const { return !is_full() && scorer_->reconstructs(); }
  std::unique_ptr<Reconstruction> reconstruct(const std::vector<int32_t>& context,
                                              const ContextFrame& frame) const {
    return scorer_->reconstruct(context, frame);
  }
  int64_t about_read_again(int64_t n_tokens) const {
    return is_full() ? 0 : scorer_->about_read_again(n_tokens);
  }
  const Protection& protection() const { return protection_; }

  // Scores in which the policy's protected tokens outrank all others, for allocators to count by;
  // `scores` itself is left as it is.
  at::Tensor protected_scores(const at::Tensor& scores) const;

  // The allocator wants the scores of all layers before the first is cut, if it is asked at all.
  bool spans_layers() const {
    return allocator_ != nullptr && allocator_->spans_layers() &&
           !(decode_ && decode_->cuts_prefill());
  }

  // Keep counts of one layer, or of all, given protected scores, 0 < ratio < 1. Throws
  // std::runtime_error when the allocator's are not in [1, T], as far as the host knows them.
  KeepCounts allocate(const LayerView& layer, const at::Tensor& scores, double ratio) const;
  std::vector<KeepCounts> allocate_layers(const std::vector<at::Tensor>& scores,
                                          double ratio) const;

  // The scores by which tokens stay, given protected scores and keep counts: another ranking where
  // ranks_by_budget(). `scorer`: whose scores they are, if not the policy's own.
  at::Tensor rank(const LayerView& layer, const at::Tensor& scores, const KeepCounts& counts,
                  const Scorer* scorer = nullptr) const;
  // The tokens that stay by them: protected ones first, as select() in kept.h says.
  Selection select(const LayerView& layer, const at::Tensor& ranked,
                   const KeepCounts& counts) const;

 private:
  void read_phases(const PolicySpec& spec);
  Protection protection_of(const LayerView& layer, const KeepCounts& counts) const;
  void check_counts(const KeepCounts& counts, const at::Tensor& scores) const;

  std::string name_, scorer_label_, allocator_label_;
  std::unique_ptr<Scorer> scorer_;
  std::unique_ptr<Allocator> allocator_;
  std::unique_ptr<Weighting> weighting_;  // may be empty
  std::string weighting_label_;
  PartSources sources_;
  Protection protection_;
  bool keeps_prompt_ = false;  // while decoding
  int64_t chunk_ = 0;
  enum class Attend { kAll, kKept } attend_ = Attend::kAll;
  std::unique_ptr<Scorer> decode_scorer_;  // empty = scorer_
  std::optional<EvictionRule> decode_;
  std::string phases_label_;
};

}  // namespace kvbench
