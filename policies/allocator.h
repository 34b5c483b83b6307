// The second part of a policy: how many tokens each layer and KV head keeps.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/base/registry.h"
#include "policies/keep_counts.h"

namespace kvbench {

// How the compression ratio becomes a number of tokens (policies.md 0.1): parameters shared by
// every allocator that starts from the uniform budget.
struct BudgetRule {
  // kKvpress: T * (1 - ratio) in floating point; kExact: the ratio as the decimal that was written.
  enum class Rounding { kKvpress, kExact };

  BudgetRule() = default;
  explicit BudgetRule(Params& p);

  bool ignores_ratio() const { return capacity > 0; }

  Rounding rounding = Rounding::kKvpress;
  int64_t capacity = 0;  // tokens kept by each head whatever the ratio; 0 = the ratio decides
};

// What an allocator knows when it cuts one layer.
struct LayerBudget {
  int64_t layer = 0, n_layers = 0;
  double ratio = 0;   // share of entries removed, 0 < ratio < 1
  at::Tensor scores;  // float32 [H, T]

  int64_t n_tokens() const { return scores.size(1); }
  int64_t n_kv_heads() const { return scores.size(0); }
  // Tokens that a head keeps under the uniform rule, before rounding. By default T * (1 - ratio)
  // with 1 - ratio rounded first, as kvpress does: T = 1000 at 0.8 is below 200.
  double uniform_share(const BudgetRule& rule = {}) const;
  // The keep count: the share truncated, at least 1.
  int64_t uniform_count(const BudgetRule& rule = {}) const;
};

// What an allocator is put beside: the model and the rest of the policy.
struct Pairing {
  int64_t n_layers = 0, n_kv_heads = 0;
  std::string scorer{};                       // its name and parameters in effect
  int64_t sink = 0, recent = 0;               // protected first and last tokens
  std::function<std::string()> model_hash{};  // of the model's files, which takes a while; empty =
                                              // not known
};

class Allocator {
 public:
  static const char* kind() { return "allocator"; }
  virtual ~Allocator() = default;

  // Keep count of each KV head, [H], each in [1, T].
  virtual KeepCounts allocate(const LayerBudget& budget) const = 0;

  // Throws InputError when this allocator cannot serve such a model or policy; asked before the
  // weights are loaded.
  virtual void validate(const Pairing& /*pairing*/) const {}

  // The same counts at every ratio: one run stands for all of them.
  virtual bool ignores_ratio() const { return false; }

  // True when the counts depend on the scores. A chunked prefill cuts before it has seen them all,
  // so it takes only allocators that do not read them.
  virtual bool reads_scores() const { return false; }

  // True when the counts of a layer depend on the scores of all layers. Such an allocator is asked
  // through allocate_layers(), once the prefill is through, so the whole full cache lives until
  // then.
  virtual bool spans_layers() const { return false; }
  // Of all layers at once; budgets[l] is layer l's.
  virtual std::vector<KeepCounts> allocate_layers(const std::vector<LayerBudget>& budgets) const;
};

#define KVB_REGISTER_ALLOCATOR(NAME, CLASS, DOC) \
  KVB_REGISTER(::kvbench::Allocator, NAME, CLASS, DOC)

}  // namespace kvbench
