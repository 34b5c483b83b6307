// A policy ready to run: scorer, allocator and protection made from what the user wrote.
#pragma once

#include <memory>
#include <string>

#include "harness/config/policy_spec.h"
#include "policies/kept.h"
#include "policies/policy.h"

namespace kvbench {

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
  // Scorer, allocator and protection together: the identity of the policy whatever its name.
  std::string canonical() const;

  // Throws InputError when the policy cannot run on a model of this shape.
  void validate(int64_t n_layers, int64_t n_kv_heads) const {
    if (allocator_) allocator_->validate(n_layers, n_kv_heads);
  }

  // Scores of a layer before protection, float32 [H, T]. Not for full.
  at::Tensor score(const LayerView& layer) const { return scorer_->score(layer); }

  // "FILE sha256" of every profile that the policy reads, one a line.
  const std::string& profile_hashes() const { return profile_hashes_; }

  bool has_weighting() const { return weighting_ != nullptr; }
  int64_t sink() const { return sink_; }
  int64_t recent() const { return recent_; }

  // Scores with the policy's own protection applied; `scores` itself is left as it is.
  at::Tensor protected_scores(const at::Tensor& scores) const;

  // The allocator wants the scores of all layers before the first is cut.
  bool spans_layers() const { return allocator_ != nullptr && allocator_->spans_layers(); }

  // Keep counts of one layer, or of all ([L][H]), given protected scores, 0 < ratio < 1.
  std::vector<int64_t> allocate(const LayerView& layer, const at::Tensor& scores,
                                double ratio) const;
  std::vector<std::vector<int64_t>> allocate_layers(const std::vector<at::Tensor>& scores,
                                                    double ratio) const;

  // The tokens that stay, given protected scores and keep counts.
  KeptTokens select(const LayerView& layer, const at::Tensor& scores,
                    const std::vector<int64_t>& counts) const;

 private:
  std::string name_, scorer_label_, allocator_label_;
  std::unique_ptr<Scorer> scorer_;
  std::unique_ptr<Allocator> allocator_;
  std::unique_ptr<Weighting> weighting_;  // may be empty
  std::string weighting_label_, profile_hashes_;
  int64_t sink_ = 0, recent_ = 0;
};

}  // namespace kvbench
