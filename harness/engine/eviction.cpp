#include "harness/engine/eviction.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "harness/base/error.h"
#include "harness/engine/in_layer.h"
#include "kernels/common/host_torch.h"

namespace kvbench {
namespace {

// How many of the last rows, `most` at most, are the last tokens of the text, without a gap: only
// their queries can be told which rows they may see.
int64_t n_latest(const std::vector<int64_t>& positions, int64_t next_position, int64_t most) {
  int64_t n = 0;
  while (n < std::min<int64_t>(most, std::ssize(positions)) &&
         positions[positions.size() - 1 - n] == next_position - 1 - n) {
    ++n;
  }
  return n;
}

int64_t n_carried(const at::Tensor& carried) { return carried.defined() ? carried.size(1) : -1; }

void append(KeptTokens& kept, const KeptTokens& more) {
  for (int64_t h = 0; h < more.n_kv_heads(); ++h) {
    kept.offsets.push_back(kept.offsets.back() + more.count(h));
  }
  kept.positions.insert(kept.positions.end(), more.positions.begin(), more.positions.end());
}

at::Tensor last(const at::Tensor& queries, int64_t n) {
  const int64_t taken = std::min(n, queries.size(1));
  return queries.narrow(1, queries.size(1) - taken, taken);
}

// A prefilled layer as a cache would hold it.
KvCache::Layer rows_of(const LayerView& view) {
  const int64_t n_heads = view.n_kv_heads(), n_tokens = view.n_tokens();
  KvCache::Layer rows = {view.keys.flatten(0, 1), view.values.flatten(0, 1), {}, {}, {}};
  for (int64_t h = 0; h < n_heads; ++h) rows.starts.push_back(h * n_tokens);
  rows.lengths = rows.capacities = std::vector<int64_t>(n_heads, n_tokens);
  return rows;
}

// The rows of each head by falling score, ties by row, but for those from `first_last` on, which
// follow.
void order_by_rank(KeptTokens& kept, const at::Tensor& scores, int64_t first_last) {
  const at::Tensor on_host = scores.cpu().contiguous();
  for (int64_t h = 0; h < kept.n_kv_heads(); ++h) {
    const float* score = on_host.const_data_ptr<float>() + h * on_host.size(1);
    const auto first = kept.positions.begin() + kept.offsets[h];
    const auto end = kept.positions.begin() + kept.offsets[h + 1];
    std::stable_sort(first, std::lower_bound(first, end, first_last),
                     [&](int64_t a, int64_t b) { return score[a] > score[b]; });
  }
}

}  // namespace

Eviction::Eviction(const Policy& policy, EvictionRule rule)
    : policy_(&policy), rule_(std::move(rule)) {
  const auto needs = rule_.scorer->decode_needs();
  KVB_CHECK(needs.has_value(), "{} cannot score while decoding", rule_.scorer_label);
  needs_ = *needs;
}

void Eviction::set_rule(EvictionRule rule) {
  KVB_CHECK(rule.scorer == rule_.scorer, "another scorer knows nothing of what is carried");
  rule_ = std::move(rule);
  n_prompt_ = next_position_;
  n_forwards_ = 0;
}

void Eviction::add_layer(const LayerView& view, const KeptTokens& kept,
                         const std::vector<int64_t>& budgets, const at::Tensor& carried) {
  KVB_CHECK(view.index == static_cast<int64_t>(layers_.size()), "layer {} comes after {}",
            view.index, layers_.size());
  next_position_ = n_prompt_ = view.n_tokens();
  Layer& layer = layers_.emplace_back();
  layer.constants = view;
  for (at::Tensor* of_prefill :
       {&layer.constants.keys, &layer.constants.values, &layer.constants.queries,
        &layer.constants.queries_prerope, &layer.constants.hidden_states}) {
    of_prefill->reset();
  }
  layer.queries = last(view.queries, needs_.queries).clone();
  for (int64_t h = 0; h < kept.n_kv_heads(); ++h) {
    Head& head = layer.heads.emplace_back();
    head.budget = budgets[h];
    head.positions = {kept.positions.begin() + kept.offsets[h],
                      kept.positions.begin() + kept.offsets[h + 1]};
    if (!carried.defined()) continue;
    const auto n = std::lower_bound(head.positions.begin(), head.positions.end(), carried.size(1));
    const at::Tensor known = on_device(
        at::tensor(std::vector<int64_t>(head.positions.begin(), n), at::kLong), carried.device());
    head.carried = carried.narrow(0, h, 1).index_select(1, known);
  }
}

KeptTokens Eviction::add_layer(const LayerView& view) {
  KeptTokens kept = keep_all(view.n_kv_heads(), view.n_tokens(), at::kCPU).on_host();
  add_layer(view, kept, kept.counts(), rule_.scorer->begin(view));
  Layer& layer = layers_.back();
  const int64_t n_tokens = view.n_tokens();
  if (rule_.shared || !is_due(layer, {.n_forwards = 0, .n_seen = n_tokens, .n_new = n_tokens})) {
    return kept;
  }
  kept = select(layer, rows_of(view));
  keep(layer, kept);
  return kept;
}

bool Eviction::end_prefill(KvCache& cache) {
  const c10::InferenceMode no_autograd;
  if (!rule_.shared || !cut_together(cache, {0, next_position_, next_position_, 0})) return false;
  cache.commit();
  return true;
}

void Eviction::observe(int64_t layer, const at::Tensor& queries, const at::Tensor& hidden_states) {
  // Of its own: the next layer's may come to lie where these are.
  layers_.at(layer).observed = queries.transpose(0, 1).clone();
  if (rule_.scorer->reads_hidden_states()) layers_[layer].hidden_states = hidden_states.clone();
}

bool Eviction::is_due(const Layer& layer, const Passes& passes) const {
  return std::any_of(layer.heads.begin(), layer.heads.end(), [&](const Head& head) {
    return rule_.is_due(passes, std::ssize(head.positions), budget_of(head));
  });
}

bool Eviction::end_step(KvCache& cache) {
  const c10::InferenceMode no_autograd;
  const int64_t m = cache.next_position() - next_position_;
  next_position_ = cache.next_position();
  since_cut_ += m;
  const Passes passes = {++n_forwards_, next_position_, m, since_cut_};
  bool cut = false;
  for (int64_t l = 0; l < std::ssize(layers_); ++l) {
    in_layer(l, [&] {
      take_in(l, cache, m);
      if (!rule_.shared) cut = cut_layer(l, cache, passes) || cut;
    });
  }
  if (rule_.shared) cut = cut_together(cache, passes);
  if (cut) since_cut_ = 0;
  return cut;
}

void Eviction::take_in(int64_t l, const KvCache& cache, int64_t m) {
  Layer& layer = layers_[l];
  const KvCache::Layer& rows = cache.layer(l);
  for (auto& head : layer.heads) {
    head.positions.resize(head.positions.size() + m);
    std::iota(head.positions.end() - m, head.positions.end(), next_position_ - m);
  }
  if (m > 0 && needs_.queries > 0) {
    layer.queries = last(at::cat({layer.queries, layer.observed}, 1), needs_.queries).clone();
  }
  if (m > 0 && needs_.every_step) {
    for (const Run run : runs(layer)) {
      LayerView step = view(layer, rows, run, layer.observed);
      step.hidden_states = layer.hidden_states;
      carry_on(layer, run.first, rule_.scorer->carry(step, carried_of(layer, run)));
    }
  }
  layer.hidden_states.reset();
}

bool Eviction::cut_layer(int64_t l, KvCache& cache, const Passes& passes) {
  Layer& layer = layers_[l];
  const KvCache::Layer& rows = cache.layer(l);
  if (!is_due(layer, passes)) return false;
  const KeptTokens kept_rows = select(layer, rows);
  cache.cut(l, kept_rows);
  keep(layer, kept_rows);
  return true;
}

bool Eviction::cut_together(KvCache& cache, const Passes& passes) {
  int64_t n_held = 0, budget = 0;
  for (const Layer& layer : layers_) {
    for (const Head& head : layer.heads) {
      n_held += std::ssize(head.positions);
      budget += budget_of(head);
    }
  }
  if (n_held <= budget || !rule_.is_due(passes, n_held, budget)) return false;
  std::vector<std::vector<LayerView>> views(layers_.size());
  std::vector<std::vector<at::Tensor>> ranked(layers_.size());
  std::vector<at::Tensor> all;
  for (int64_t l = 0; l < std::ssize(layers_); ++l) {
    in_layer(l, [&] {
      for (const Run run : runs(layers_[l])) {
        views[l].push_back(view(layers_[l], cache.layer(l), run, layers_[l].queries));
        ranked[l].push_back(policy_->protected_scores(scores(layers_[l], views[l].back())));
        all.push_back(ranked[l].back().flatten());
      }
    });
  }
  const at::Tensor threshold = std::get<0>(at::cat(all).kthvalue(n_held - budget + 1));
  for (int64_t l = 0; l < std::ssize(layers_); ++l) {
    KeptTokens kept;
    kept.offsets.push_back(0);
    for (size_t i = 0; i < views[l].size(); ++i) {
      const at::Tensor counts = ranked[l][i].ge(threshold).sum(1).clamp_min(1);
      append(kept, policy_->select(views[l][i], ranked[l][i], host_values(counts)).on_host());
    }
    cache.cut(l, kept);
    keep(layers_[l], kept);
  }
  return true;
}

bool Eviction::are_alike(const Head& a, const Head& b) const {
  if (a.positions.size() != b.positions.size() || budget_of(a) != budget_of(b) ||
      n_carried(a.carried) != n_carried(b.carried)) {
    return false;
  }
  if (a.positions == b.positions) return true;
  const int64_t most = std::max<int64_t>(needs_.queries, 1);
  return n_latest(a.positions, next_position_, most) ==
             n_latest(b.positions, next_position_, most) &&
         n_prompt_rows(a.positions, n_prompt_) == n_prompt_rows(b.positions, n_prompt_);
}

template <class AreAlike>
std::vector<Eviction::Run> Eviction::runs(const Layer& layer, AreAlike&& alike) {
  std::vector<Run> runs;
  for (int64_t h = 0; h < std::ssize(layer.heads); ++h) {
    if (h > 0 && alike(h - 1, h)) {
      ++runs.back().n_heads;
    } else {
      runs.push_back({.first = h});
    }
  }
  return runs;
}

std::vector<Eviction::Run> Eviction::runs(const Layer& layer) const {
  return runs(layer,
              [&](int64_t a, int64_t b) { return are_alike(layer.heads[a], layer.heads[b]); });
}

at::Tensor Eviction::carried_of(const Layer& layer, Run run) {
  if (run.n_heads == 1 || !layer.heads[run.first].carried.defined()) {
    return layer.heads[run.first].carried;
  }
  std::vector<at::Tensor> all;
  for (int64_t h = run.first; h < run.first + run.n_heads; ++h) {
    all.push_back(layer.heads[h].carried);
  }
  return at::cat(all);
}

void Eviction::carry_on(Layer& layer, int64_t first, const at::Tensor& carried) {
  for (int64_t h = 0; carried.defined() && h < carried.size(0); ++h) {
    layer.heads[first + h].carried = carried.narrow(0, h, 1);
  }
}

LayerView Eviction::view(const Layer& layer, const KvCache::Layer& rows, Run run,
                         const at::Tensor& queries) const {
  const Head& head = layer.heads[run.first];
  const auto n_heads = static_cast<int64_t>(layer.heads.size());
  const int64_t group = queries.size(0) / n_heads, d = rows.keys.size(1);
  const int64_t first_query = run.first * group, n_query_heads = run.n_heads * group;
  const auto n_tokens = static_cast<int64_t>(head.positions.size());
  LayerView view = layer.constants;
  view.keys = rows.first_rows(rows.keys, run.first, run.n_heads, n_tokens);
  view.values = rows.first_rows(rows.values, run.first, run.n_heads, n_tokens);
  view.queries = last(queries.narrow(0, first_query, n_query_heads),
                      n_latest(head.positions, next_position_, queries.size(1)));
  view.output_weight = layer.constants.output_weight.narrow(1, first_query * d, n_query_heads * d);
  for (int64_t h = run.first; h < run.first + run.n_heads; ++h) {
    const auto& positions = layer.heads[h].positions;
    view.positions.insert(view.positions.end(), positions.begin(), positions.end());
  }
  view.n_prompt = n_prompt_;
  view.step = next_position_ - n_prompt_;
  view.head = run.first;
  return view;
}

// The rows of a layer that stay: its heads above their budget are ranked, the others stay whole.
KeptTokens Eviction::select(Layer& layer, const KvCache::Layer& rows) const {
  KeptTokens kept;
  kept.offsets.push_back(0);
  if (needs_.same_tokens && std::ssize(layer.heads[0].positions) >= rule_.scorer->least_tokens()) {
    for (const Head& head : layer.heads) {
      if (head.positions != layer.heads[0].positions) {
        throw_input_error(
            "{}: compares the heads of a layer while decoding, but they hold different tokens",
            rule_.scorer_label);
      }
    }
    append(kept, select(layer, rows, {.n_heads = std::ssize(layer.heads)}));
    return kept;
  }
  for (const Run run : runs(layer)) append(kept, select(layer, rows, run));
  return kept;
}

KeptTokens Eviction::select(Layer& layer, const KvCache::Layer& rows, Run run) const {
  const auto n_held = static_cast<int64_t>(layer.heads[run.first].positions.size());
  std::vector<int64_t> counts;
  for (int64_t h = run.first; h < run.first + run.n_heads; ++h) {
    counts.push_back(std::min(n_held, budget_of(layer.heads[h])));
  }
  if (!needs_.ranked_before_last &&
      std::all_of(counts.begin(), counts.end(), [&](int64_t n) { return n == n_held; })) {
    return keep_all(run.n_heads, n_held, at::kCPU).on_host();
  }
  if (n_held < rule_.scorer->least_tokens()) {
    const at::Tensor later_is_higher = at::arange(n_held, at::kFloat).repeat({run.n_heads, 1});
    return select_top(later_is_higher, counts, policy_->protection());
  }
  const LayerView heads = view(layer, rows, run, layer.queries);
  const at::Tensor ranked =
      policy_->rank(heads, policy_->protected_scores(scores(layer, heads)), counts, rule_.scorer);
  KeptTokens kept = policy_->select(heads, ranked, counts).on_host();
  if (const auto last = needs_.ranked_before_last) order_by_rank(kept, ranked, n_held - *last);
  return kept;
}

at::Tensor Eviction::scores(Layer& layer, const LayerView& run) const {
  at::Tensor carried = carried_of(layer, {.first = run.head, .n_heads = run.n_kv_heads()});
  if (!needs_.every_step) {
    carried = rule_.scorer->carry(run, carried);
    carry_on(layer, run.head, carried);
  }
  const at::Tensor scores = rule_.scorer->rank(run, carried);
  check_scores(scores, run, "scorer " + rule_.scorer_label, run.head);
  return scores;
}

// What the tokens carry follows them.
void Eviction::keep(Layer& layer, const KeptTokens& kept_rows) const {
  const auto n_heads = static_cast<int64_t>(layer.heads.size());
  // Of each head: the kept rows that carry something.
  std::vector<std::vector<int64_t>> carrying(n_heads);
  for (int64_t h = 0; h < n_heads; ++h) {
    Head& head = layer.heads[h];
    const std::vector<int64_t> rows(kept_rows.positions.begin() + kept_rows.offsets[h],
                                    kept_rows.positions.begin() + kept_rows.offsets[h + 1]);
    if (head.carried.defined()) {
      KVB_CHECK(std::is_sorted(rows.begin(), rows.end()), "rows by rank carry nothing");
      carrying[h].assign(rows.begin(),
                         std::lower_bound(rows.begin(), rows.end(), head.carried.size(1)));
    }
    std::vector<int64_t> positions;
    for (const auto row : rows) positions.push_back(head.positions[row]);
    head.positions = std::move(positions);
  }
  const auto carry_as_many = [&](int64_t a, int64_t b) {
    return carrying[a].size() == carrying[b].size() &&
           n_carried(layer.heads[a].carried) == n_carried(layer.heads[b].carried);
  };
  for (const Run run : runs(layer, carry_as_many)) {
    const at::Tensor carried = carried_of(layer, run);
    if (!carried.defined()) continue;
    std::vector<int64_t> rows;
    for (int64_t h = run.first; h < run.first + run.n_heads; ++h) {
      rows.insert(rows.end(), carrying[h].begin(), carrying[h].end());
    }
    const at::Tensor index = on_device(at::tensor(rows, at::kLong), carried.device());
    carry_on(layer, run.first, carried.gather(1, index.view({run.n_heads, -1})));
  }
}

KeptTokens Eviction::kept(int64_t layer) const {
  KeptTokens kept;
  kept.offsets.push_back(0);
  for (const auto& head : layers_.at(layer).heads) {
    kept.positions.insert(kept.positions.end(), head.positions.begin(), head.positions.end());
    kept.offsets.push_back(static_cast<int64_t>(kept.positions.size()));
  }
  return kept;
}

}  // namespace kvbench
