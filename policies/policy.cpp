#include "policies/policy.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

namespace kvbench {
namespace {

// Makes the part that `spec` names and the label of its name and parameters in effect; notes the
// files that it reads and the plug-in that it is from.
template <class Part>
std::pair<std::unique_ptr<Part>, std::string> make_part(const PartSpec& spec, PartSources& from) {
  const std::string place =
      spec.line > 0 ? fmt::format("{}:{}", spec.origin, spec.line) : spec.origin;
  const auto& entry = Registry<Part>::instance().find(spec.name, place);
  Params params(fmt::format("{} {}", Part::kind(), spec.name), spec.origin, spec.params);
  auto part = entry.make(params);
  params.finish();
  from.file_hashes += params.file_hashes();
  if (!entry.plugin.empty()) from.plugins.insert(entry.plugin);
  const std::string values = params.canonical();
  return {std::move(part), values.empty() ? spec.name : fmt::format("{}({})", spec.name, values)};
}

// Throws InputError when a scorer cannot rank what a cut cache holds, naming those that can.
void require_decode_scorer(const Scorer& scorer, const PartSpec& spec, const char* phase) {
  if (scorer.decode_needs()) return;
  std::vector<std::string> able;
  for (const auto& name : Registry<Scorer>::instance().names()) {
    Params defaults;
    if (Registry<Scorer>::instance().find(name).make(defaults)->decode_needs()) {
      able.push_back(name);
    }
  }
  throw_input_error("{}: {}: scorer {} needs the whole context; expected one of {}", spec.origin,
                    phase, spec.name, fmt::join(able, ", "));
}

}  // namespace

Policy::Policy(const PolicySpec& spec) : name_(spec.name) {
  if (spec.full) return;
  std::tie(scorer_, scorer_label_) = make_part<Scorer>(spec.scorer, sources_);
  std::tie(allocator_, allocator_label_) = make_part<Allocator>(spec.allocator, sources_);
  if (!spec.weighting.name.empty()) {
    std::tie(weighting_, weighting_label_) = make_part<Weighting>(spec.weighting, sources_);
  }
  Params params("protect", spec.origin, spec.protect);
  params.get("sink", protection_.sink, "first tokens that outrank every other");
  params.get("recent", protection_.recent, "last tokens that outrank every other");
  params.get("prompt", keeps_prompt_,
             "while decoding, what the prefill left outranks all but the recent ones, one other "
             "token at least stays");
  params.require_range("sink", static_cast<double>(protection_.sink), 0, 1 << 20);
  params.require_range("recent", static_cast<double>(protection_.recent), 0, 1 << 20);
  params.finish();
  read_phases(spec);
  params.require(!keeps_prompt_ || (decode_ && chunk_ == 0 &&
                                    !decode_->scorer->decode_needs()->ranked_before_last),
                 "prompt",
                 "expected a decode phase beside it, no prefill in chunks, and a scorer that keeps "
                 "the order of the tokens");
}

void Policy::read_phases(const PolicySpec& spec) {
  Params prefill("prefill", spec.origin, spec.prefill);
  prefill.get("chunk", chunk_, "tokens prefilled at a time, with a cut after each; 0 = all");
  prefill.require_range("chunk", static_cast<double>(chunk_), 0, 1 << 20);
  prefill.require(chunk_ == 0 || !allocator_->reads_scores(), "chunk",
                  fmt::format("expected 0 with allocator {}, which needs the scores of the whole "
                              "context for its budgets",
                              spec.allocator.name));
  prefill.choice("attend", attend_, {{"all", Attend::kAll}, {"kept", Attend::kKept}},
                 "kept: each layer is cut before its attention, which sees what stays");
  prefill.require(!attends_kept() || (chunk_ == 0 && !allocator_->spans_layers() &&
                                      !scorer_->reconstructs() && !scorer_->needs_answer()),
                  "attend",
                  "expected all beside chunks, an allocator that waits for all layers, or a scorer "
                  "that waits for more than its layer");
  prefill.finish();
  if (chunk_ > 0) {
    require_decode_scorer(*scorer_, spec.scorer, "prefill in chunks");
    phases_label_ = fmt::format("+prefill(chunk={})", chunk_);
  }
  if (attends_kept()) phases_label_ = "+prefill(attend=kept)";
  if (!spec.decode.given) return;
  Params params("decode", spec.origin, spec.decode.params);
  EvictionRule& rule = decode_.emplace(params);
  params.finish();
  rule.scorer = scorer_.get();
  rule.scorer_label = scorer_label_;
  rule.shared = rule.cuts_prefill() && spec.allocator.name == "global";
  params.require(
      !rule.cuts_prefill() ||
          ((rule.shared || spec.allocator.name == "uniform") && chunk_ == 0 && !attends_kept()),
      "when",
      "expected overflow or interval beside a prefill of the policy's own or another allocator "
      "than "
      "uniform or global: the others have a budget of their own, the same for every head");
  const PartSpec& part = spec.decode.scorer.name.empty() ? spec.scorer : spec.decode.scorer;
  if (!spec.decode.scorer.name.empty()) {
    std::tie(decode_scorer_, rule.scorer_label) = make_part<Scorer>(part, sources_);
    rule.scorer = decode_scorer_.get();
    params.require(chunk_ == 0, "scorer",
                   "expected the policy's own: a chunked prefill has begun with it");
  }
  require_decode_scorer(*rule.scorer, part, "decode");
  if (rule.shared) {
    const DecodeNeeds needs = *rule.scorer->decode_needs();
    params.require(rule.when != EvictionRule::When::kHeld && !needs.same_tokens &&
                       !needs.ranked_before_last && rule.scorer->least_tokens() == 1,
                   "when",
                   fmt::format("expected uniform in place of global, or grid or seen and a scorer "
                               "of single tokens: {} cannot compare heads of different lengths",
                               part.name));
  }
  phases_label_ += fmt::format("+decode({},{})", rule.scorer_label, params.canonical());
}

EvictionRule Policy::chunk_rule() const {
  EvictionRule rule;
  rule.scorer = scorer_.get();
  rule.scorer_label = scorer_label_;
  return rule;
}

Scored Policy::score(const LayerView& layer) const {
  const at::Tensor carried = scorer_->carry(layer, {});
  Scored scored = {scorer_->rank(layer, carried), carried};
  check_scores(scored.scores, layer, "scorer " + scorer_label_);
  return scored;
}

std::string Policy::canonical() const {
  if (is_full()) return "full";
  std::string text =
      fmt::format("{}+{}{}+protect(sink={},recent={}{}){}", scorer_label_, allocator_label_,
                  weighting_ ? "+" + weighting_label_ : "", protection_.sink, protection_.recent,
                  keeps_prompt_ ? ",prompt" : "", phases_label_);
  for (const std::string& plugin : sources_.plugins) {
    text += fmt::format("+plugin({})", plugin.substr(plugin.rfind(' ') + 1));
  }
  return text;
}

std::string Policy::plugin_hashes() const {
  std::string lines;
  for (const std::string& plugin : sources_.plugins) lines += plugin + "\n";
  return lines;
}

void Policy::validate(const ModelShape& model, std::function<std::string()> model_hash) const {
  if (is_full()) return;
  scorer_->validate(model);
  if (decode_scorer_) decode_scorer_->validate(model);
  allocator_->validate({model.n_layers, model.n_kv_heads, scorer_label_, protection_.sink,
                        protection_.recent, std::move(model_hash)});
}

at::Tensor Policy::protected_scores(const at::Tensor& scores) const {
  if (protection_.sink == 0 && protection_.recent == 0) return scores;
  const int64_t n_tokens = scores.size(1);
  const int64_t first = std::min(protection_.sink, n_tokens);
  const int64_t last = std::min(protection_.recent, n_tokens);
  const at::Tensor top = above(scores);
  at::Tensor raised = scores.clone();
  raised.narrow(1, 0, first).copy_(top.expand({scores.size(0), first}));
  raised.narrow(1, n_tokens - last, last).copy_(top.expand({scores.size(0), last}));
  return raised;
}

KeepCounts Policy::allocate(const LayerView& layer, const at::Tensor& scores, double ratio) const {
  if (layer.index < scorer_->skip_layers()) {
    return std::vector<int64_t>(static_cast<size_t>(scores.size(0)), scores.size(1));
  }
  KeepCounts counts = allocator_->allocate({layer.index, layer.n_layers, ratio, scores});
  check_counts(counts, scores);
  return counts;
}

std::vector<KeepCounts> Policy::allocate_layers(const std::vector<at::Tensor>& scores,
                                                double ratio) const {
  std::vector<LayerBudget> budgets;
  const auto n_layers = static_cast<int64_t>(scores.size());
  for (int64_t l = 0; l < n_layers; ++l) budgets.push_back({l, n_layers, ratio, scores[l]});
  auto counts = allocator_->allocate_layers(budgets);
  if (std::ssize(counts) != n_layers) {
    throw std::runtime_error(fmt::format("allocator {} gave keep counts of {} layers for {}",
                                         allocator_label_, counts.size(), n_layers));
  }
  for (int64_t l = 0; l < n_layers; ++l) check_counts(counts[l], scores[l]);
  for (int64_t l = 0; l < std::min(n_layers, scorer_->skip_layers()); ++l) {
    counts[l] = std::vector<int64_t>(scores[l].size(0), scores[l].size(1));
  }
  return counts;
}

// Of counts that only the device knows the selection tells (Selection::invalid).
void Policy::check_counts(const KeepCounts& counts, const at::Tensor& scores) const {
  const int64_t n_heads = scores.size(0), n_tokens = scores.size(1);
  bool fine = counts.n_kv_heads() == n_heads;
  if (counts.is_known()) {
    for (const int64_t n : counts.on_host()) fine = fine && n >= 1 && n <= n_tokens;
  }
  if (fine) return;
  throw std::runtime_error(
      fmt::format("allocator {} gave keep counts [{}] for {} KV heads of {} tokens",
                  allocator_label_, fmt::join(counts.on_host(), ", "), n_heads, n_tokens));
}

at::Tensor Policy::rank(const LayerView& layer, const at::Tensor& scores, const KeepCounts& counts,
                        const Scorer* scorer) const {
  if (scorer == nullptr) scorer = scorer_.get();
  at::Tensor ranked = scores;
  if (scorer->ranks_by_budget()) {
    ranked = protected_scores(scorer->score_for_counts(layer, scores, counts.on_host()));
  }
  if (weighting_) {
    ranked = weighting_->weigh(layer, ranked, counts.on_host());
    check_scores(ranked, layer, "weighting " + weighting_label_);
  }
  return ranked;
}

// The prompt's tokens are sinks while decoding. VaSE's random_pp leaves one place to the others.
Protection Policy::protection_of(const LayerView& layer, const KeepCounts& counts) const {
  Protection protection = protection_;
  if (!keeps_prompt_ || layer.n_prompt == 0) return protection;
  protection.sink =
      std::max(protection.sink,
               std::min(layer.n_prompt_rows(), counts.on_host().front() - protection.recent - 1));
  return protection;
}

Selection Policy::select(const LayerView& layer, const at::Tensor& ranked,
                         const KeepCounts& counts) const {
  return kvbench::select(ranked, counts, protection_of(layer, counts));
}

}  // namespace kvbench
