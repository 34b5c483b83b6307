// What makes a policy: a scorer ranks the cached tokens of every KV head, an allocator says how
// many each head keeps. Both are pure: tensors in, scores or counts out; several threads ask them at
// once. They see one layer of one prefilled context, never the question, the answer or the task
// (unless the experiment puts the question into the context). Only the cache evicts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/base/registry.h"

namespace kvbench {

// One layer of T cached tokens. After a prefill: the whole context right after its own (full)
// attention, Q = T. While decoding: what one or several KV heads hold, and Q of the latest queries.
struct LayerView {
  int64_t index = 0, n_layers = 0;
  at::Tensor keys, values;     // [H, T, d], model dtype; keys after RoPE
  at::Tensor queries;          // [Hq, Q, d] after RoPE, those of the last Q tokens; query head q
                               // serves KV head q / (Hq / H)
  at::Tensor queries_prerope;  // [Hq, T, d] before RoPE; undefined while decoding
  at::Tensor output_weight;    // W_O [D, Hq * d]
  at::Tensor inverse_frequencies;  // of RoPE, float32 [d / 2]: position t turns pair i by t * f_i
  double attention_scale = 0;      // 1 / sqrt(d)
  at::Tensor importance;           // float32 [H, T], of the answer to come: for oracles alone, else
                                   // undefined (policies/lukv/oracle.h)
  uint64_t seed = 0;               // of the sample: the source of any randomness

  int64_t n_tokens() const { return keys.size(1); }
  int64_t n_kv_heads() const { return keys.size(0); }
};

// What a scorer asks for to score while the model decodes (policies.md 6).
struct DecodeNeeds {
  int64_t queries = 0;       // how many of the latest queries, if there are as many
  bool every_step = false;   // carry() takes part in every step, with that step's queries alone
  bool same_tokens = false;  // compares heads token by token: all must hold the same ones
};

class Scorer {
 public:
  static const char* kind() { return "scorer"; }
  virtual ~Scorer() = default;

  // Importance of every token, float32 [H, T], higher = keep; no NaN. Float32 whatever the cache's
  // dtype: in bfloat16 most norms and cosines tie. Protected tokens get a value above the layer's
  // maximum. Throws InputError when the context is too short for the method.
  virtual at::Tensor score(const LayerView& layer) const = 0;

  // True when the ranking depends on the budget (block-wise KeyDiff). Allocators then still read
  // score(), and score_for_counts() decides once the keep counts [H] are known: scores [H, T] anew.
  virtual bool ranks_by_budget() const { return false; }
  virtual at::Tensor score_for_counts(const LayerView& layer, const at::Tensor& scores,
                                      const std::vector<int64_t>& counts) const;

  // Absent: the scorer reads the whole context's queries, so it cannot score while decoding.
  virtual std::optional<DecodeNeeds> decode_needs() const { return std::nullopt; }

  // True for an oracle: it ranks by LayerView::importance, which only a finished answer tells.
  virtual bool needs_answer() const { return false; }

  // The first layers of a model that the method leaves whole, whatever the budget.
  virtual int64_t skip_layers() const { return 0; }
};

// A scorer that ranks by a value which every token carries along, through all later cuts: an
// accumulated score (H2O, G-KV). The cache's owner keeps the values; the scorer stays pure.
class CarryingScorer : public Scorer {
 public:
  // New values, float32 [H, N], of the first N <= T tokens, given those of the first n <= N of
  // them before, [H, n]; undefined = none yet. Tokens behind them begin the next time.
  virtual at::Tensor carry(const LayerView& layer, const at::Tensor& before) const = 0;

  // Scores [H, T] out of the values [H, N].
  virtual at::Tensor rank(const LayerView& layer, const at::Tensor& carried) const = 0;

  at::Tensor score(const LayerView& layer) const final { return rank(layer, carry(layer, {})); }
};

// How the compression ratio becomes a number of tokens (policies.md 0.1): parameters shared by
// every allocator that starts from the uniform budget.
struct BudgetRule {
  // kKvpress: T * (1 - ratio) in floating point; kExact: the ratio as the decimal that was written.
  enum class Rounding { kKvpress, kExact };

  BudgetRule() = default;
  explicit BudgetRule(Params& p);

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

class Allocator {
 public:
  static const char* kind() { return "allocator"; }
  virtual ~Allocator() = default;

  // Keep count of each KV head, [H], each in [1, T].
  virtual std::vector<int64_t> allocate(const LayerBudget& budget) const = 0;

  // Throws InputError when this allocator cannot serve a model of this shape; asked before the
  // weights are loaded.
  virtual void validate(int64_t /*n_layers*/, int64_t /*n_kv_heads*/) const {}

  // True when the counts depend on the scores. A chunked prefill cuts before it has seen them all,
  // so it takes only allocators that do not read them.
  virtual bool reads_scores() const { return false; }

  // True when the counts of a layer depend on the scores of all layers. Such an allocator is asked
  // through allocate_layers(), once the prefill is through, so the whole full cache lives until
  // then.
  virtual bool spans_layers() const { return false; }
  // Keep counts [L][H] of all layers at once; budgets[l] is layer l's.
  virtual std::vector<std::vector<int64_t>> allocate_layers(
      const std::vector<LayerBudget>& budgets) const;
};

// Changes a layer's scores once its keep counts are known: what a method does between ranking and
// selection (CriticalKV). Optional third part of a policy.
class Weighting {
 public:
  static const char* kind() { return "weighting"; }
  virtual ~Weighting() = default;

  // New scores, float32 [H, T], of which the counts[h] highest of each head are kept.
  virtual at::Tensor weigh(const LayerView& layer, const at::Tensor& scores,
                           const std::vector<int64_t>& counts) const = 0;
};

#define KVB_REGISTER_SCORER(NAME, CLASS, DOC) KVB_REGISTER(::kvbench::Scorer, NAME, CLASS, DOC)
#define KVB_REGISTER_ALLOCATOR(NAME, CLASS, DOC) \
  KVB_REGISTER(::kvbench::Allocator, NAME, CLASS, DOC)
#define KVB_REGISTER_WEIGHTING(NAME, CLASS, DOC) \
  KVB_REGISTER(::kvbench::Weighting, NAME, CLASS, DOC)

// Raises the first `sink` and the last `recent` tokens to the layer's maximum + 1, so that they
// outrank every other token (as kvpress protects). scores: float32 [H, T], changed in place.
void protect(at::Tensor& scores, int64_t sink, int64_t recent);

}  // namespace kvbench
