// One prefill of a context, and the caches of any number of policies cut from it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "harness/cache/kv_cache.h"
#include "harness/engine/decode.h"
#include "harness/engine/eviction.h"
#include "harness/model/decoder.h"
#include "policies/policy.h"

namespace kvbench {

// What one policy at one ratio left of a context.
struct CompressedCache {
  std::unique_ptr<KvCache> cache;
  std::unique_ptr<Eviction> eviction;  // of a policy that goes on evicting while decoding
  std::vector<int32_t> keep_counts;    // [L, H]
  std::vector<KeptTokens> kept;        // [L], only when asked for
  // 1 where a head keeps a watched token, uint8 [L, H, watched] on the host; only when asked for,
  // not of a policy that prefills in chunks.
  at::Tensor kept_watched;
  std::string error;       // why this policy cannot cut this context: nothing else is set
  at::Tensor last_logits;  // of the last context token, float32 [vocab]
  double prefill_ms = 0;   // scoring and compaction not counted
  double score_ms = 0, allocate_ms = 0, compact_ms = 0;  // selection counts as compaction
  int64_t score_tokens = 0;  // that the scorer's own passes read, whose time is in score_ms
  // Most bytes of keys and values that lived at once, were this policy alone: the layer at work in
  // full and the cut ones before it.
  int64_t peak_kv_bytes = 0;

  GrowingCache growing() const { return {cache.get(), last_logits, eviction.get()}; }
};

struct PolicyAtRatio {
  const Policy* policy = nullptr;
  double ratio = 0;

  // It cannot share the prefill of the others.
  bool prefills_alone() const {
    return ratio > 0 && (policy->chunk() > 0 || policy->attends_kept());
  }
  // No share of the context is removed.
  bool keeps_all() const { return policy->is_full() || ratio == 0 || cuts_by_rule(); }
  bool cuts_by_rule() const { return policy->decode() && policy->decode()->cuts_prefill(); }
};

struct CompressOptions {
  uint64_t seed = 0;   // of the sample, for scorers that draw
  bool timed = false;  // on a device other than the CPU times are told only then, as they cost some
  bool keep_positions = false;
  bool keep_prefill = false;
  std::vector<int64_t> watched = {};        // ascending positions: CompressedCache::kept_watched
  std::vector<at::Tensor> importance = {};  // [L] of [H, T]: LayerView::importance, for oracles
  ContextFrame frame = {};                  // for scorers that ask for passes of their own
  // Told the scores of each layer of each scorer (by Policy::scorer()), float32 [H, T].
  std::function<void(const std::string& scorer, int64_t layer, const at::Tensor&)> on_scores = {};
};

// A whole context as the model read it: other caches can be cut from it later.
struct Prefilled {
  std::vector<LayerView> layers;  // [L]
  at::Tensor last_logits;
  double ms = 0;
};

struct Compressed {
  std::vector<CompressedCache> caches;  // in the order asked for
  Prefilled prefilled;                  // only when asked for
};

// Prefill attention is never changed by eviction (a layer is cut after its own attention), so
// every policy's scores come from the same pass; policies with the same scorer share them. Each
// layer is cut at once and its full keys and values are let go, unless an allocator spans layers. A
// policy that prefills in chunks (chunked_prefill.h) or attends to what it keeps (kept_attention.h)
// has a prefill of its own; one whose scorer asks for passes behind the context (second_pass.h) is
// cut after them. Whatever is thrown in one
// policy's part fails that one only. Ratio 0 removes nothing, while decoding neither unless the
// policy evicts to a fixed number of tokens.
Compressed compress_context(const Decoder& model, const std::vector<int32_t>& context,
                            const std::vector<PolicyAtRatio>& policies,
                            const CompressOptions& options);

// The same without another prefill, for policies that need no pass of their own.
std::vector<CompressedCache> compress_prefilled(const Decoder& model, const Prefilled& prefilled,
                                                const std::vector<PolicyAtRatio>& policies,
                                                const CompressOptions& options);

}  // namespace kvbench
