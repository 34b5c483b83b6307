#include "harness/engine/eviction.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "harness/base/error.h"
#include "harness/engine/in_layer.h"
#include "kernels/common/host_torch.h"

namespace kvbench {
namespace {

// How many of the last rows are the last tokens of the text, without a gap: only their queries can
// be told which rows they may see.
int64_t n_latest(const std::vector<int64_t>& positions, int64_t next_position) {
  int64_t n = 0;
  while (n < static_cast<int64_t>(positions.size()) &&
         positions[positions.size() - 1 - n] == next_position - 1 - n) {
    ++n;
  }
  return n;
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

// The rows by falling score, ties by row, but for those from `first_last` on, which follow.
void order_by_rank(std::vector<int64_t>& rows, const at::Tensor& scores, int64_t first_last) {
  const at::Tensor on_host = scores.cpu().contiguous();
  const float* score = on_host.const_data_ptr<float>();
  const auto last = std::lower_bound(rows.begin(), rows.end(), first_last);
  std::stable_sort(rows.begin(), last, [&](int64_t a, int64_t b) { return score[a] > score[b]; });
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
    const at::Tensor known =
        on_device(at::tensor(std::vector<int64_t>(head.positions.begin(), n), at::kLong),
                  carried.device());
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
    for (int64_t h = 0; h < std::ssize(layer.heads); ++h) {
      at::Tensor& carried = layer.heads[h].carried;
      LayerView step = view(layer, rows, h, layer.observed);
      step.hidden_states = layer.hidden_states;
      carried = rule_.scorer->carry(step, carried);
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
      for (int64_t h = 0; h < std::ssize(layers_[l].heads); ++h) {
        views[l].push_back(view(layers_[l], cache.layer(l), h, layers_[l].queries));
        ranked[l].push_back(policy_->protected_scores(scores_of_head(layers_[l], views[l].back())));
        all.push_back(ranked[l].back().flatten());
      }
    });
  }
  const at::Tensor threshold = std::get<0>(at::cat(all).kthvalue(n_held - budget + 1));
  for (int64_t l = 0; l < std::ssize(layers_); ++l) {
    KeptTokens kept;
    kept.offsets.push_back(0);
    for (size_t h = 0; h < views[l].size(); ++h) {
      const auto count = ranked[l][h].ge(threshold).sum().item<int64_t>();
      const std::vector counts = {std::max<int64_t>(count, 1)};
      const KeptTokens of_head = policy_->select(views[l][h], ranked[l][h], counts).on_host();
      kept.positions.insert(kept.positions.end(), of_head.positions.begin(),
                            of_head.positions.end());
      kept.offsets.push_back(std::ssize(kept.positions));
    }
    cache.cut(l, kept);
    keep(layers_[l], kept);
  }
  return true;
}

// One head's cached rows, with the latest of `queries` [Hq, Q, d] that see them in order.
LayerView Eviction::view(const Layer& layer, const KvCache::Layer& rows, int64_t head,
                         const at::Tensor& queries) const {
  const Head& h = layer.heads[head];
  const auto n_heads = static_cast<int64_t>(layer.heads.size());
  const int64_t group = queries.size(0) / n_heads, d = rows.keys.size(1);
  const auto n_tokens = static_cast<int64_t>(h.positions.size());
  LayerView view = layer.constants;
  view.keys = rows.keys.narrow(0, rows.starts[head], n_tokens).unsqueeze(0);
  view.values = rows.values.narrow(0, rows.starts[head], n_tokens).unsqueeze(0);
  view.queries =
      last(queries.narrow(0, head * group, group), n_latest(h.positions, next_position_));
  view.output_weight = layer.constants.output_weight.narrow(1, head * group * d, group * d);
  view.positions = h.positions;
  view.n_prompt = n_prompt_;
  view.step = next_position_ - n_prompt_;
  view.head = head;
  return view;
}

LayerView Eviction::view_of_all(const Layer& layer, const KvCache::Layer& rows) const {
  std::vector<at::Tensor> keys, values;
  for (size_t h = 0; h < layer.heads.size(); ++h) {
    if (layer.heads[h].positions != layer.heads[0].positions) {
      throw_input_error(
          "{}: compares the heads of a layer while decoding, but they hold different tokens",
          rule_.scorer_label);
    }
    const LayerView one = view(layer, rows, static_cast<int64_t>(h), layer.queries);
    keys.push_back(one.keys);
    values.push_back(one.values);
  }
  LayerView all = view(layer, rows, 0, layer.queries);
  all.output_weight = layer.constants.output_weight;
  all.keys = at::cat(keys);
  all.values = at::cat(values);
  all.queries = last(layer.queries, n_latest(layer.heads[0].positions, next_position_));
  return all;
}

// The rows of a layer that stay: its heads above their budget are ranked, the others stay whole.
KeptTokens Eviction::select(Layer& layer, const KvCache::Layer& rows) const {
  const auto n_heads = static_cast<int64_t>(layer.heads.size());
  std::vector<int64_t> counts;
  for (const auto& head : layer.heads) {
    counts.push_back(std::min<int64_t>(std::ssize(head.positions), budget_of(head)));
  }
  const auto n_first = static_cast<int64_t>(layer.heads[0].positions.size());
  if (needs_.same_tokens && n_first >= rule_.scorer->least_tokens()) {
    const LayerView all = view_of_all(layer, rows);
    const at::Tensor scores = rule_.scorer->score(all);
    check_scores(scores, all, "scorer " + rule_.scorer_label);
    const at::Tensor ranked =
        policy_->rank(all, policy_->protected_scores(scores), counts, rule_.scorer);
    return policy_->select(all, ranked, counts).on_host();
  }
  KeptTokens kept;
  kept.offsets.push_back(0);
  for (int64_t h = 0; h < n_heads; ++h) {
    const KeptTokens of_head = select_of_head(layer, rows, h, counts[h]);
    kept.positions.insert(kept.positions.end(), of_head.positions.begin(), of_head.positions.end());
    kept.offsets.push_back(static_cast<int64_t>(kept.positions.size()));
  }
  return kept;
}

KeptTokens Eviction::select_of_head(Layer& layer, const KvCache::Layer& rows, int64_t h,
                                    int64_t count) const {
  const auto n_held = static_cast<int64_t>(layer.heads[h].positions.size());
  if (count == n_held && !needs_.ranked_before_last) {
    return keep_all(1, count, at::kCPU).on_host();
  }
  if (n_held < rule_.scorer->least_tokens()) {
    const at::Tensor later_is_higher = at::arange(n_held, at::kFloat).unsqueeze(0);
    return select_top(later_is_higher, {count}, policy_->protection());
  }
  const LayerView one = view(layer, rows, h, layer.queries);
  const at::Tensor scores = scores_of_head(layer, one);
  const std::vector counts = {count};
  const at::Tensor ranked =
      policy_->rank(one, policy_->protected_scores(scores), counts, rule_.scorer);
  KeptTokens kept = policy_->select(one, ranked, counts).on_host();
  if (const auto last = needs_.ranked_before_last) {
    order_by_rank(kept.positions, ranked, n_held - *last);
  }
  return kept;
}

at::Tensor Eviction::scores_of_head(Layer& layer, const LayerView& head) const {
  at::Tensor& carried = layer.heads[head.head].carried;
  if (!needs_.every_step) carried = rule_.scorer->carry(head, carried);
  const at::Tensor scores = rule_.scorer->rank(head, carried);
  check_scores(scores, head, "scorer " + rule_.scorer_label, head.head);
  return scores;
}

// What the tokens carry follows them.
void Eviction::keep(Layer& layer, const KeptTokens& kept_rows) const {
  for (size_t h = 0; h < layer.heads.size(); ++h) {
    Head& head = layer.heads[h];
    const std::vector<int64_t> rows(kept_rows.positions.begin() + kept_rows.offsets[h],
                                    kept_rows.positions.begin() + kept_rows.offsets[h + 1]);
    if (head.carried.defined()) {
      KVB_CHECK(std::is_sorted(rows.begin(), rows.end()), "rows by rank carry nothing");
      const auto known = std::lower_bound(rows.begin(), rows.end(), head.carried.size(1));
      head.carried = head.carried.index_select(
          1, on_device(at::tensor(std::vector<int64_t>(rows.begin(), known), at::kLong),
                       head.carried.device()));
    }
    std::vector<int64_t> positions;
    for (const auto row : rows) positions.push_back(head.positions[row]);
    head.positions = std::move(positions);
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
