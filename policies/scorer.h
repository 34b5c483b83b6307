// The first part of a policy: a scorer ranks the cached tokens of every KV head, an allocator
// (allocator.h) says how many each head keeps. Both are pure: tensors in, scores or counts out;
// several threads ask them at once. They see one layer of one prefilled context, never the
// question, the answer or the task (unless the experiment puts the question into the context). Only
// the cache evicts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "harness/base/registry.h"

namespace kvbench {

// One layer of T cached tokens. After a prefill: the whole context right after its own (full)
// attention, Q = T. While decoding: what one or several KV heads hold, and Q of the latest queries.
//
// Only layers with full attention are scored and counted: one of a sliding window keeps what its
// window sees, whatever the policy. `index` counts those of full attention alone.
struct LayerView {
  int64_t index = 0, n_layers = 0;
  at::Tensor keys, values;     // [H, T, d], model dtype; keys after RoPE
  at::Tensor queries;          // [Hq, Q, d] after RoPE, those of the last Q tokens; query head q
                               // serves KV head q / (Hq / H)
  at::Tensor queries_prerope;  // [Hq, T, d] before RoPE; undefined while decoding
  at::Tensor hidden_states;  // [Q, D] that enter the attention, after its norm; undefined unless a
                             // scorer reads_hidden_states()
  at::Tensor output_weight;  // W_O [D, Hq * d]
  at::Tensor inverse_frequencies;  // of RoPE, float32 [d / 2]: position t turns pair i by t * f_i
  double rope_factor = 1;          // and scales it by this (yarn)
  double attention_scale = 0;      // 1 / sqrt(d)
  at::Tensor importance;           // float32 [H, T], of the answer to come: for oracles alone, else
                                   // undefined (policies/lukv/oracle.h)
  at::Tensor reconstruction;       // float32 [H, T], of the scorer's own passes over the context
                                   // (reconstruction.h), else undefined
  uint64_t seed = 0;               // of the sample: the source of any randomness (draws.h)
  std::vector<int64_t> positions;  // [H, T], of the tokens in the text; empty = 0 .. T - 1. Heads
                                   // differ in them only while decoding, and then behind as many
                                   // first tokens of the prompt, and before as many latest tokens
  int64_t n_prompt = 0;            // tokens of the prefill, while decoding
  int64_t step = 0;                // tokens seen since the prefill
  int64_t head = 0;                // the KV head that the view's first one is
  int64_t window = 0;  // of a windowed layer, which no scorer or allocator sees; index is
                       // then n_layers or more

  int64_t n_tokens() const { return keys.size(1); }
  int64_t n_kv_heads() const { return keys.size(0); }
  int64_t position(int64_t head_of_view, int64_t row) const {
    return positions.empty() ? row : positions[head_of_view * n_tokens() + row];
  }
  // How many of the first rows of every head are tokens of the prompt.
  int64_t n_prompt_rows() const;
};

// The same of rows with these positions, after a prompt of n_prompt tokens.
int64_t n_prompt_rows(std::span<const int64_t> positions, int64_t n_prompt);

// What a scorer may be made for.
struct ModelShape {
  int64_t n_layers = 0, n_kv_heads = 0;  // layers of full attention
  int64_t n_query_heads = 0, hidden_size = 0;
};

// What a scorer asks for to score while the model decodes (policies.md 6).
struct DecodeNeeds {
  int64_t queries = 0;       // how many of the latest queries, if there are as many
  bool every_step = false;   // carry() takes part in every step, with that step's queries alone
  bool same_tokens = false;  // compares heads token by token: all must hold the same ones
  // Kept rows lie by falling score from the first cut on, ties by row, and behind them this many
  // last ones as they were: for methods that read their rows in that order. Else by position.
  std::optional<int64_t> ranked_before_last = std::nullopt;
};

class Reconstruction;
struct ContextFrame;

class Scorer {
 public:
  static const char* kind() { return "scorer"; }
  virtual ~Scorer() = default;

  // Importance of every token, float32 [H, T], higher = keep; no NaN. Float32 whatever the cache's
  // dtype: in bfloat16 most norms and cosines tie. Tokens that the method always keeps get a value
  // above the layer's maximum. Throws InputError for fewer than least_tokens() tokens.
  virtual at::Tensor score(const LayerView& layer) const = 0;

  // The fewest tokens that score() can rank: one more than a window that is kept anyway. While
  // decoding, a head that holds fewer is not ranked: a cut keeps its latest tokens.
  virtual int64_t least_tokens() const { return 1; }

  // Of a scorer that ranks by a value which every token carries along through all later cuts, an
  // accumulated score (H2O, G-KV): the new values, float32 [H, N], of the first N <= T tokens,
  // given those of the first n <= N of them before, [H, n]; undefined = none yet. Tokens behind
  // them begin the next time. The cache's owner keeps the values; the scorer stays pure. By default
  // nothing is carried.
  virtual at::Tensor carry(const LayerView& /*layer*/, const at::Tensor& /*before*/) const {
    return {};
  }
  // What the tokens of a prefill carry before anything is cut.
  virtual at::Tensor begin(const LayerView& layer) const {
    const auto needs = decode_needs();
    return needs && needs->every_step ? carry(layer, {}) : at::Tensor();
  }
  // Scores [H, T] out of the values [H, N]; score() is that of a carry() from nothing.
  virtual at::Tensor rank(const LayerView& layer, const at::Tensor& /*carried*/) const {
    return score(layer);
  }

  // True when the ranking depends on the budget (block-wise KeyDiff). Allocators then still read
  // score(), and score_for_counts() decides once the keep counts [H] are known: scores [H, T] anew.
  virtual bool ranks_by_budget() const { return false; }
  virtual at::Tensor score_for_counts(const LayerView& layer, const at::Tensor& scores,
                                      const std::vector<int64_t>& counts) const;

  // Absent: the scorer reads the whole context's queries, so it cannot score while decoding.
  virtual std::optional<DecodeNeeds> decode_needs() const { return std::nullopt; }

  // Scores are made of LayerView::hidden_states, which are kept for nobody else and go with the
  // layer: while decoding, carry() sees those of its step (DecodeNeeds::every_step).
  virtual bool reads_hidden_states() const { return false; }

  // Throws InputError when this scorer cannot serve such a model; asked before the weights are
  // loaded.
  virtual void validate(const ModelShape& /*model*/) const {}

  // True for an oracle: it ranks by LayerView::importance, which only a finished answer tells.
  virtual bool needs_answer() const { return false; }

  // True of a scorer that has the model read tokens behind the prefilled context: reconstruct()
  // makes of them what score() then finds in LayerView::reconstruction (reconstruction.h). Throws
  // InputError where the frame lacks what it needs.
  virtual bool reconstructs() const { return false; }
  virtual std::unique_ptr<Reconstruction> reconstruct(const std::vector<int32_t>& context,
                                                      const ContextFrame& frame) const;
  // About how many tokens the passes read of a context of T.
  virtual int64_t about_read_again(int64_t /*n_tokens*/) const { return 0; }

  // The first layers of a model that the method leaves whole, whatever the budget.
  virtual int64_t skip_layers() const { return 0; }
};

#define KVB_REGISTER_SCORER(NAME, CLASS, DOC) KVB_REGISTER(::kvbench::Scorer, NAME, CLASS, DOC)

// Throws InputError when `scorer` cannot rank n_tokens tokens; `name` is how it calls itself.
void require_tokens(const Scorer& scorer, const std::string& name, int64_t n_tokens);

// Throws std::runtime_error ("scorer knorm gave NaN for KV head 3") unless scores are float32
// [H, T] without a NaN, of which a GPU is asked only at the selection. `who` gave them; the view's
// heads are those from `first_head` on.
void check_scores(const at::Tensor& scores, const LayerView& layer, const std::string& who,
                  int64_t first_head = 0);

// A float32 value above all scores: their maximum + 1 (as kvpress protects), or a 2^-20th of it
// above where that is more: above 2^24, + 1 is lost in float32.
at::Tensor above(const at::Tensor& scores);

}  // namespace kvbench
