#include "harness/cache/decode_batch.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "harness/base/error.h"
#include "kernels/cache_attention/cache_attention_torch.h"
#include "kernels/cache_rows/cache_append_torch.h"
#include "kernels/common/host_torch.h"
#include "kernels/common/launch_torch.h"
#include "kernels/common/team.h"
#include "kernels/decode_plan/decode_plan.h"

namespace kvbench {

DecodeBatch::DecodeBatch(std::vector<KvCache*> caches)
    : caches_(std::move(caches)), one_(at::scalar_tensor(1, at::kLong)) {
  KVB_CHECK(!caches_.empty(), "a batch needs a sequence");
}

int64_t DecodeBatch::furthest_position() const {
  int64_t furthest = 0;
  for (const KvCache* cache : caches_) furthest = std::max(furthest, cache->next_position());
  return furthest;
}

bool DecodeBatch::is_together(int64_t layer, int64_t n_tokens) const {
  const at::Tensor& shared = caches_[0]->layer(layer).keys;
  KVB_CHECK(shared.defined(), "layer {} was never stored", layer);
  return std::all_of(caches_.begin(), caches_.end(), [&](const KvCache* cache) {
    const KvCache::Layer& of_cache = cache->layer(layer);
    return of_cache.keys.is_same(shared) && of_cache.has_room(n_tokens);
  });
}

void DecodeBatch::reserve(int64_t n_tokens) {
  for (int64_t l = 0; l < caches_[0]->n_layers(); ++l) {
    if (is_together(l, n_tokens)) continue;
    KvCache::move_together(caches_, l, n_tokens);
    is_stale_ = true;
  }
  if (is_stale_) collect();
}

void DecodeBatch::store(at::Tensor& target, const at::Tensor& values) {
  const at::Tensor moved = on_device(values, caches_[0]->layer(0).keys.device());
  if (target.defined() && target.sizes() == values.sizes()) {
    target.copy_(moved);
    return;
  }
  target = moved;
  ++version_;
}

// Starts and lengths as tensors: what the operators take.
void DecodeBatch::collect() {
  const c10::InferenceMode no_autograd;
  const int64_t n_layers = caches_[0]->n_layers();
  std::vector<int64_t> starts, counters;
  std::vector<Place> places;
  for (int64_t l = 0; l < n_layers; ++l) {
    for (const KvCache* cache : caches_) {
      const auto& layer = cache->layer(l);
      starts.insert(starts.end(), layer.starts.begin(), layer.starts.end());
      counters.insert(counters.end(), layer.lengths.begin(), layer.lengths.end());
    }
    const auto& shared = caches_[0]->layer(l);
    places.push_back(
        {shared.keys.const_data_ptr(), shared.values.const_data_ptr(), shared.keys.size(0)});
  }
  if (places != places_) ++version_;
  places_ = std::move(places);
  const auto& first = caches_[0]->layer(0);
  const auto n_heads = static_cast<int64_t>(first.starts.size());
  store(starts_, at::tensor(starts, at::kLong).view({n_layers, size(), n_heads}));
  if (served_by_cuda(first.keys.device())) plan(counters);
  for (const KvCache* cache : caches_) counters.push_back(cache->next_position() - 1);
  store(counters_, at::tensor(counters, at::kLong));
  lengths_ = counters_.narrow(0, 0, starts_.numel()).view_as(starts_);
  positions_ = counters_.narrow(0, starts_.numel(), size());
  is_stale_ = false;
}

at::Tensor DecodeBatch::begin(int64_t n_tokens) {
  if (n_tokens == 1) {
    by_one_thread([counters = counters_, one = one_] { counters.add_(one); });
    return positions_.unsqueeze(1);
  }
  counters_.add_(n_tokens);
  return positions_.unsqueeze(1) + at::arange(1 - n_tokens, 1, positions_.options());
}

// A CUDA kernel's plans of all layers for decode steps, which stay right while heads grow: made
// once until a cache is cut or moved.
void DecodeBatch::plan(const std::vector<int64_t>& lengths) {
  constexpr int64_t kGrowth = 64;  // rows by which answers grow: half of a short one
  const auto device = starts_.device();
  const int64_t n_layers = starts_.size(0), n_kv_heads = starts_.size(2);
  const int64_t n_heads = size() * n_kv_heads;
  const int64_t n_items = std::max(kDecodeItems * n_multiprocessors(device), n_heads);
  std::vector<DecodeItem> items;
  std::vector<int32_t> first_items;
  for (int64_t l = 0; l < n_layers; ++l) {
    std::vector<int64_t> planned(lengths.begin() + l * n_heads,
                                 lengths.begin() + (l + 1) * n_heads);
    for (int64_t& length : planned) length += kGrowth;
    const DecodePlan of_layer = decode_plan(planned, n_kv_heads, n_items);
    items.insert(items.end(), of_layer.items.begin(), of_layer.items.end());
    first_items.insert(first_items.end(), of_layer.first_items.begin(), of_layer.first_items.end());
  }
  static_assert(sizeof(DecodeItem) == 4 * sizeof(int32_t));
  store(items_, at::from_blob(items.data(), {n_layers, n_items, 4}, at::kInt).clone());
  store(first_items_, at::tensor(first_items, at::kInt).view({n_layers, n_heads + 1}));
}

void DecodeBatch::append_and_attend(int64_t layer, const at::Tensor& query, const at::Tensor& keys,
                                    const at::Tensor& values, double scale, int64_t window,
                                    const at::Tensor& workspace, const at::Tensor& out) {
  const int64_t n_tokens = query.size(1);
  // Before anything is written: in a flat buffer the next head's rows follow.
  KVB_CHECK(is_together(layer, n_tokens), "layer {} has no room for {} new tokens", layer,
            n_tokens);
  const KvCache::Layer& shared = caches_[0]->layer(layer);
  const at::Tensor starts = starts_[layer], lengths = lengths_[layer];
  cache_append(keys, values, shared.keys, shared.values, starts, lengths);
  std::optional<at::Tensor> items, first_items;
  if (items_.defined() && n_tokens == 1) {
    items = items_[layer];
    first_items = first_items_[layer];
  }
  cache_attention_out(query, shared.keys, shared.values, starts, lengths, scale, window, items,
                      first_items, workspace, out);
}

void DecodeBatch::advance(int64_t n_tokens) {
  for (KvCache* cache : caches_) cache->advance(n_tokens);
}

}  // namespace kvbench
