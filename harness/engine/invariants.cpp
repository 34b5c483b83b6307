#include "harness/engine/invariants.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "harness/base/error.h"
#include "harness/base/random.h"
#include "harness/engine/compress.h"
#include "harness/engine/decode.h"
#include "harness/engine/generate.h"

namespace kvbench {
namespace {

constexpr int64_t kTokens = 400;  // longer than any default window
constexpr int64_t kMore = 100;    // than a budget that is no share of the context

std::vector<int32_t> random_context(const Decoder& model, uint64_t seed, int64_t n_tokens) {
  Random random(seed);
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < n_tokens; ++i) {
    tokens.push_back(
        static_cast<int32_t>(random.below(static_cast<uint64_t>(model.config().vocab_size))));
  }
  return tokens;
}

// For oracles: some answer's needs, by chance. From a generator of its own: seeding the process's
// would hide a scorer that draws from that one.
std::vector<at::Tensor> some_importance(const std::vector<int64_t>& sizes) {
  at::Tensor values = at::empty(sizes, at::kFloat);
  Random random(1);
  auto* value = values.mutable_data_ptr<float>();
  for (int64_t i = 0; i < values.numel(); ++i) value[i] = static_cast<float>(random.unit());
  return values.unbind();
}

// For scorers that have the context read again: a chat head of a few tokens, a word's ids its
// bytes.
ContextFrame some_frame(const Decoder& model) {
  return {4, {0, 1}, [vocab = model.config().vocab_size](const std::string& text) {
            std::vector<int32_t> ids;
            for (const char c : text) {
              ids.push_back(static_cast<int32_t>(static_cast<unsigned char>(c) % vocab));
            }
            return ids;
          }};
}

// One compression with everything that the checks look at.
struct Cut {
  Compressed result;
  std::vector<at::Tensor> scores;  // of each layer, without the policy's protection

  const CompressedCache& cache() const { return result.caches[0]; }
};

Cut cut(const Decoder& model, const Policy& policy, double ratio,
        const std::vector<int32_t>& context) {
  Cut made;
  CompressOptions options;
  options.keep_positions = true;
  options.seed = 1;
  options.frame = some_frame(model);
  const ModelConfig& config = model.config();
  options.importance = some_importance(
      {config.n_budgeted_layers(), config.n_kv_heads, static_cast<int64_t>(context.size())});
  options.on_scores = [&](const std::string&, int64_t, const at::Tensor& scores) {
    made.scores.push_back(scores);
  };
  made.result = compress_context(model, context, {{&policy, ratio}}, options);
  if (!made.cache().error.empty()) throw std::runtime_error(made.cache().error);
  return made;
}

class Checker {
 public:
  Checker(const Decoder& model, const Policy& policy)
      : model_(model),
        policy_(policy),
        cuts_by_rule_(policy.decode() && policy.decode()->cuts_prefill()),
        n_tokens_(cuts_by_rule_ ? std::max(kTokens, policy.decode()->budget + kMore) : kTokens),
        context_(random_context(model, 1, n_tokens_)) {}

  std::vector<InvariantResult> run() {
    try {
      cut(model_, policy_, policy_.is_full() ? 0 : 0.5, context_);
    } catch (...) {  // said once, not by every check
      return {{"can be run", current_error(), false}};
    }
    if (!cuts_by_rule_) check("ratio 0 equals the full cache", [&] { return ratio_zero(); });
    check("generates tokens", [&] { return generates(); });
    if (policy_.is_full()) return results_;
    for (const double ratio : {0.5, 0.8}) {
      if (policy_.ignores_ratio()) break;
      const std::string at = fmt::format(" at {}", ratio);
      check("budget met" + at, [&] { return budget(ratio); });
      check("kept are the top-scored" + at, [&] { return top_scored(ratio); });
    }
    check("protected tokens are kept", [&] { return protects(); });
    check("no state leaks between samples", [&] { return no_leak(); });
    if (!cuts_by_rule_) check("is not a no-op", [&] { return not_a_no_op(); });
    if (policy_.ignores_ratio()) check("its own budget at any ratio", [&] { return own_budget(); });
    if (policy_.decode()) check("budget met while decoding", [&] { return decode_budget(); });
    return results_;
  }

 private:
  // `body` returns what was measured and throws what is wrong.
  template <class F>
  void check(const std::string& name, F&& body) {
    try {
      results_.push_back({name, body(), true});
    } catch (...) {
      results_.push_back({name, current_error(), false});
    }
  }

  static void require(bool ok, const std::string& what) {
    if (!ok) throw std::runtime_error(what);
  }

  std::string ratio_zero() const {
    const Cut zero = cut(model_, policy_, 0, context_);
    const auto& cache = *zero.cache().cache;
    at::Tensor logits = model_.prefill(context_, [&](const LayerView& layer) {
      if (layer.window > 0) return;
      const auto& stored = cache.layer(layer.index);
      require(at::equal(stored.keys, layer.keys.flatten(0, 1)) &&
                  at::equal(stored.values, layer.values.flatten(0, 1)),
              fmt::format("layer {} differs from the full cache", layer.index));
    });
    require(at::equal(logits, zero.cache().last_logits), "the logits differ");
    return fmt::format("{} tokens in every head", n_tokens_);
  }

  std::string budget(double ratio) const {
    const auto counts = cut(model_, policy_, ratio, context_).cache().keep_counts;
    const auto skipped = std::min<size_t>(
        counts.size(), static_cast<size_t>(policy_.skip_layers() * model_.config().n_kv_heads));
    const double kept = std::accumulate(counts.begin() + skipped, counts.end(), 0.0);
    const double share =
        kept / (static_cast<double>(counts.size() - skipped) * static_cast<double>(n_tokens_));
    // Published methods round per layer or add a window to a budget: their realised share may miss
    // the nominal one, but not by more than this.
    require(std::abs(share - (1 - ratio)) <= 0.02,
            fmt::format("kept {:.4f} of the entries, asked for {:.4f}", share, 1 - ratio));
    return fmt::format("kept {:.4f} of the entries, asked for {:.4f}", share, 1 - ratio);
  }

  std::string top_scored(double ratio) const {
    if (policy_.ranks_by_budget()) return "the budget changes the ranking; not checked";
    if (policy_.chunk() > 0) return "each chunk has a ranking of its own; not checked";
    const Cut made = cut(model_, policy_, ratio, context_);
    for (size_t l = 0; l < made.scores.size(); ++l) {
      const at::Tensor scores = policy_.protected_scores(made.scores[l]);
      const KeptTokens& kept = made.cache().kept[l];
      for (int64_t h = 0; h < kept.n_kv_heads(); ++h) {
        at::Tensor dropped = scores[h].clone();
        float lowest = std::numeric_limits<float>::infinity();
        for (int64_t i = kept.offsets[h]; i < kept.offsets[h + 1]; ++i) {
          const int64_t position = kept.positions[i];
          lowest = std::min(lowest, scores[h][position].item<float>());
          dropped[position] = -std::numeric_limits<float>::infinity();
        }
        require(dropped.max().item<float>() <= lowest,
                fmt::format("layer {}, head {}: a dropped token scores above a kept one", l, h));
      }
    }
    return "in every layer and head";
  }

  // The policy's own protection: its positions outrank all, so they stay while there is room.
  std::string protects() const {
    if (policy_.protection().sink + policy_.protection().recent == 0)
      return "protects nothing itself";
    const auto cache = cut(model_, policy_, 0.5, context_);
    for (const auto& kept : cache.cache().kept) {
      for (int64_t h = 0; h < kept.n_kv_heads(); ++h) {
        if (kept.count(h) < policy_.protection().sink + policy_.protection().recent) continue;
        const auto begin = kept.positions.begin() + kept.offsets[h];
        const auto end = kept.positions.begin() + kept.offsets[h + 1];
        for (int64_t j = 0; j < n_tokens_; ++j) {
          const bool is_protected =
              j < policy_.protection().sink || j >= n_tokens_ - policy_.protection().recent;
          require(!is_protected || std::find(begin, end, j) != end,
                  fmt::format("protected token {} of head {} was dropped", j, h));
        }
      }
    }
    return fmt::format("sink {}, recent {}", policy_.protection().sink,
                       policy_.protection().recent);
  }

  std::string no_leak() const {
    const Cut first = cut(model_, policy_, 0.5, context_);
    cut(model_, policy_, 0.8, random_context(model_, 2, n_tokens_));
    const Cut again = cut(model_, policy_, 0.5, context_);
    for (size_t l = 0; l < first.cache().kept.size(); ++l) {
      require(first.cache().kept[l].positions == again.cache().kept[l].positions,
              fmt::format("layer {} keeps other tokens after another sample", l));
    }
    return "the same tokens before and after another sample";
  }

  std::string not_a_no_op() const {
    const Cut half = cut(model_, policy_, 0.5, context_);
    require(half.cache().cache->bytes_allocated() <
                cut(model_, policy_, 0, context_).cache().cache->bytes_allocated(),
            "no memory is freed at 0.5");
    const auto other = cut(model_, policy_, 0.8, context_).cache().cache->bytes_allocated();
    if (policy_.ignores_ratio()) return fmt::format("{} bytes", other);
    require(other < half.cache().cache->bytes_allocated(), "0.8 frees no more than 0.5");
    return fmt::format("{} bytes at 0.5, {} at 0.8", half.cache().cache->bytes_allocated(), other);
  }

  std::string own_budget() const {
    const auto counts = cut(model_, policy_, 0.5, context_).cache().keep_counts;
    require(counts == cut(model_, policy_, 0.9, context_).cache().keep_counts,
            "keeps other numbers of tokens at 0.5 and 0.9");
    const double kept = std::accumulate(counts.begin(), counts.end(), 0.0);
    return fmt::format("{:.1f} tokens a head", kept / static_cast<double>(counts.size()));
  }

  std::string generates() const {
    const double ratio = policy_.is_full() ? 0 : 0.5;
    Cut made = cut(model_, policy_, ratio, context_);
    const auto answer = generate(model_, {made.cache().growing()}, {1, 2, 3}, {8, {}});
    require(answer[0].tokens.size() == 8, "fewer than 8 tokens came out");
    return "8 tokens after a question";
  }

  // No head ever holds more than its budget and what may come between two cuts.
  std::string decode_budget() const {
    constexpr int64_t kAsked = 3;
    const EvictionRule& rule = *policy_.decode();
    const int64_t n_said = cuts_by_rule_ ? 2 * rule.interval : 24;  // a cut is among them
    Cut made = cut(model_, policy_, 0.5, context_);
    const auto& counts = made.cache().keep_counts;
    const auto answer = generate(model_, {made.cache().growing()}, {1, 2, 3}, {n_said, {}});
    require(answer[0].error.empty(), answer[0].error);
    const int64_t slack =
        rule.when == EvictionRule::When::kOverflow ? 0 : rule.interval - 1 + kAsked;
    const KvCache& cache = *made.cache().cache;
    int64_t n_evicted = 0, all_held = 0, all_budgets = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
      const auto n_heads = static_cast<size_t>(model_.config().n_kv_heads);
      const int64_t n_seen = n_tokens_ + kAsked + n_said - 1;
      const int64_t budget = rule.budget_of(n_seen, counts[i]);
      const int64_t held = cache.layer(static_cast<int64_t>(i / n_heads)).lengths[i % n_heads];
      require(rule.shared || held <= budget + slack,
              fmt::format("a head holds {} tokens, its budget is {}", held, budget));
      n_evicted += counts[i] + kAsked + n_said - 1 - held;
      all_held += held;
      all_budgets += budget + slack;
    }
    require(all_held <= all_budgets,
            fmt::format("{} tokens are held, their budget is {}", all_held, all_budgets));
    require(n_evicted > 0, "nothing is evicted");
    return fmt::format("{} entries evicted over {} tokens", n_evicted, n_said);
  }

  const Decoder& model_;
  const Policy& policy_;
  const bool cuts_by_rule_;  // while decoding, to a budget that is no share of the context
  const int64_t n_tokens_;
  std::vector<int32_t> context_;
  std::vector<InvariantResult> results_;
};

}  // namespace

std::vector<InvariantResult> check_invariants(const Decoder& model, const Policy& policy) {
  return Checker(model, policy).run();
}

}  // namespace kvbench
