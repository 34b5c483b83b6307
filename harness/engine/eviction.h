// Eviction while tokens keep coming, in decoding and in a chunked prefill (policies.md 6): what the
// tokens of one cache carry from cut to cut, and when it is cut.
#pragma once

#include <optional>
#include <vector>

#include "harness/cache/kv_cache.h"
#include "policies/policy.h"

namespace kvbench {

// Belongs to one cache. Copies are cheap and independent: tensors are replaced, never written.
class Eviction {
 public:
  // `policy` gives protection and weighting to the rule's scores; it must outlive this.
  Eviction(const Policy& policy, EvictionRule rule);

  // One layer after its prefill, in layer order: which tokens are cached now, how many each head
  // may hold (unless the rule says so), and what all T of them carry ([H, n], undefined = nothing).
  void add_layer(const LayerView& layer, const KeptTokens& kept,
                 const std::vector<int64_t>& budgets, const at::Tensor& carried);

  // The same where the rule alone cuts the prefill (EvictionRule::cuts_prefill()): returns the rows
  // that stay, in the order in which they are to be cached.
  KeptTokens add_layer(const LayerView& layer);

  // After the last layer of such a prefill, all rows being in the cache: where the layers share one
  // budget (EvictionRule::shared) it is cut here, and not before. Returns whether it was.
  bool end_prefill(KvCache& cache);

  // Told by every layer of a forward pass: its queries, [m, Hq, d] after RoPE, and the hidden
  // states that they were made of, [m, D].
  void observe(int64_t layer, const at::Tensor& queries, const at::Tensor& hidden_states);

  // After the pass, its rows being in the cache: cuts what is due. Returns whether anything was. A
  // head that holds fewer tokens than the scorer can rank keeps its latest ones, and those that the
  // policy protects. Throws InputError when the scorer cannot compare the heads.
  bool end_step(KvCache& cache);

  // Goes on by another rule of the same scorer; what has been seen is the prompt.
  void set_rule(EvictionRule rule);

  // Positions in the text of what a layer holds now, in the order of the rows.
  KeptTokens kept(int64_t layer) const;
  // What the first n rows of a head carry, float32 [1, n]; undefined = nothing.
  const at::Tensor& carried(int64_t layer, int64_t head) const {
    return layers_.at(layer).heads.at(head).carried;
  }

 private:
  struct Head {
    std::vector<int64_t> positions;  // of the cached rows
    at::Tensor carried;              // [1, n] of the first n rows; undefined = nothing
    int64_t budget = 0;
  };
  struct Layer {
    LayerView constants;  // what does not change: scale, frequencies, weights
    at::Tensor queries;   // [Hq, Q, d], the latest
    // Of the pass under way: queries [Hq, m, d], hidden states [m, D].
    at::Tensor observed, hidden_states;
    std::vector<Head> heads;
  };

  // Heads one after the other that are seen, ranked and cut together: they differ in which tokens
  // they hold, in nothing else that counts.
  struct Run {
    int64_t first = 0, n_heads = 1;
  };

  // Tokens that a head may hold now.
  int64_t budget_of(const Head& head) const { return rule_.budget_of(next_position_, head.budget); }
  bool is_due(const Layer& layer, const Passes& passes) const;
  // Takes in the m new tokens of a layer.
  void take_in(int64_t layer, const KvCache& cache, int64_t m);
  // Cuts a layer if that is due. Returns whether it was.
  bool cut_layer(int64_t layer, KvCache& cache, const Passes& passes);
  // The same for all layers, which share one budget: what is as good as the last entry within it
  // stays, and one token of every head, so that ties and empty heads may exceed it.
  bool cut_together(KvCache& cache, const Passes& passes);
  bool are_alike(const Head& a, const Head& b) const;
  std::vector<Run> runs(const Layer& layer) const;
  template <class AreAlike>  // of two heads by their numbers
  static std::vector<Run> runs(const Layer& layer, AreAlike&& alike);
  // What the heads of a run carry, [n_heads, n].
  static at::Tensor carried_of(const Layer& layer, Run run);
  // What the heads from `first` on carry from now on: nothing new where it is undefined.
  static void carry_on(Layer& layer, int64_t first, const at::Tensor& carried);
  // The rows of a run's heads, [n_heads, n], with the latest of `queries` [Hq, Q, d] that see them
  // in order.
  LayerView view(const Layer& layer, const KvCache::Layer& rows, Run run,
                 const at::Tensor& queries) const;
  KeptTokens select(Layer& layer, const KvCache::Layer& rows) const;
  // Of the rows of a run, [n_heads, n], before protection; brings up to date what they carry.
  at::Tensor scores(Layer& layer, const LayerView& run) const;
  KeptTokens select(Layer& layer, const KvCache::Layer& rows, Run run) const;
  void keep(Layer& layer, const KeptTokens& kept_rows) const;

  const Policy* policy_;
  EvictionRule rule_;
  DecodeNeeds needs_;
  std::vector<Layer> layers_;
  int64_t next_position_ = 0, since_cut_ = 0, n_prompt_ = 0, n_forwards_ = 0;
};

}  // namespace kvbench
