#include "harness/engine/chunked_prefill.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <span>

#include "harness/base/error.h"
#include "harness/engine/decode.h"
#include "harness/engine/in_layer.h"
#include "harness/engine/stopwatch.h"

namespace kvbench {
namespace {

class ChunkedPrefill {
 public:
  ChunkedPrefill(const Decoder& model, const PolicyAtRatio& asked, const CompressOptions& options)
      : model_(model), asked_(asked), options_(options) {
    out_.cache = std::make_unique<KvCache>(model.config().n_layers);
    out_.eviction = std::make_unique<Eviction>(*asked.policy, asked.policy->chunk_rule());
  }

  CompressedCache run(const std::vector<int32_t>& context) {
    n_tokens_ = static_cast<int64_t>(context.size());
    const EvictionRule rule = asked_.policy->chunk_rule();
    require_tokens(*rule.scorer, rule.scorer_label, n_tokens_);  // as in a prefill at once
    const int64_t chunk = asked_.policy->chunk();
    const Stopwatch watch(model_.device(), options_.timed);
    out_.last_logits = model_.prefill(
        {context.begin(), context.begin() + std::min(chunk, n_tokens_)},
        [this](const LayerView& view) { in_layer(view.index, [&] { start(view); }); },
        rule.scorer->reads_hidden_states());
    cut();
    for (int64_t first = chunk; first < n_tokens_; first += chunk) {
      DecodeBatch batch({out_.cache.get()});
      const auto observe = [this](int64_t layer, const at::Tensor& queries,
                                  const at::Tensor& hidden) {
        out_.eviction->observe(layer, queries.select(0, 0), hidden.select(0, 0));
      };
      const at::Tensor ids =
          token_ids(std::span(context).subspan(first, std::min(chunk, n_tokens_ - first)));
      out_.last_logits = model_.extend(ids, batch, Decoder::Logits::kLast, observe).squeeze(0);
      cut();
    }
    out_.prefill_ms = watch.ms() - out_.compact_ms;
    finish();
    return std::move(out_);
  }

 private:
  void start(const LayerView& view) {
    if (view.window > 0) {
      windows_.emplace_back(view.index, view.window);
      out_.cache->store_window(view.index, view.keys, view.values, view.window);
      return;
    }
    LayerView layer = view;
    layer.seed = options_.seed;
    // The allocator does not read scores, only how many tokens and heads there are.
    const at::Tensor shape = at::zeros({1, 1}).expand({layer.n_kv_heads(), n_tokens_});
    const auto budgets = asked_.policy->allocate(layer, shape, asked_.ratio).on_host();
    const Selection all = keep_all(layer.n_kv_heads(), layer.n_tokens(), layer.keys.device());
    out_.cache->store(layer.index, layer.keys, layer.values, all);
    out_.eviction->add_layer(layer, all.on_host(), budgets,
                             asked_.policy->chunk_rule().scorer->carry(layer, {}));
  }

  // Ranking, selection and compaction are one step here: they all count as compaction.
  void cut() {
    out_.peak_kv_bytes = std::max(out_.peak_kv_bytes, out_.cache->bytes_allocated());
    const Stopwatch watch(model_.device(), options_.timed);
    out_.eviction->end_step(*out_.cache);
    for (const auto& [slot, window] : windows_) out_.cache->cut_to_window(slot, window);
    out_.compact_ms += watch.ms();
  }

  void finish() {
    out_.cache->commit();
    for (int64_t l = 0; l < model_.config().n_budgeted_layers(); ++l) {
      KeptTokens kept = out_.eviction->kept(l);
      for (const auto count : kept.counts()) {
        out_.keep_counts.push_back(static_cast<int32_t>(count));
      }
      if (options_.keep_positions) out_.kept.push_back(std::move(kept));
    }
    if (const auto& rule = asked_.policy->decode()) {
      out_.eviction->set_rule(*rule);
    } else {
      out_.eviction.reset();
    }
  }

  const Decoder& model_;
  const PolicyAtRatio& asked_;
  const CompressOptions& options_;
  CompressedCache out_;
  int64_t n_tokens_ = 0;
  std::vector<std::pair<int64_t, int64_t>> windows_;  // windowed layers: cache slot, tokens
};

}  // namespace

CompressedCache prefill_in_chunks(const Decoder& model, const std::vector<int32_t>& context,
                                  const PolicyAtRatio& asked, const CompressOptions& options) {
  const c10::InferenceMode no_autograd;
  try {
    return ChunkedPrefill(model, asked, options).run(context);
  } catch (...) {
    CompressedCache failed;
    failed.error = current_error();
    return failed;
  }
}

}  // namespace kvbench
