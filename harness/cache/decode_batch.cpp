#include "harness/cache/decode_batch.h"

#include <ATen/ATen.h>

#include "harness/base/error.h"
#include "kernels/ragged_attention_torch.h"
#include "kernels/ragged_rows_torch.h"

namespace kvbench {
namespace {

at::Tensor index_tensor(const std::vector<int64_t>& values, c10::Device device) {
  return at::tensor(values, at::kLong).to(device);
}

}  // namespace

DecodeBatch::DecodeBatch(std::vector<KvCache*> caches) : caches_(std::move(caches)) {
  KVB_CHECK(!caches_.empty(), "a batch needs a sequence");
  collect();
}

void DecodeBatch::reserve(int64_t n_tokens) {
  bool grew = false;
  for (KvCache* cache : caches_) grew = cache->reserve(n_tokens) || grew;
  if (grew) collect();
}

// Buffers by layer, starts and lengths as tensors: what the operators take.
void DecodeBatch::collect() {
  keys_.clear();
  values_.clear();
  const int64_t n_layers = caches_[0]->n_layers();
  const auto n_heads = static_cast<int64_t>(caches_[0]->layer(0).starts.size());
  std::vector<int64_t> starts, lengths;
  for (int64_t l = 0; l < n_layers; ++l) {
    keys_.emplace_back();
    values_.emplace_back();
    for (const KvCache* cache : caches_) {
      const auto& layer = cache->layer(l);
      KVB_CHECK(layer.keys.defined(), "layer {} was never stored", l);
      keys_[l].push_back(layer.keys);
      values_[l].push_back(layer.values);
      starts.insert(starts.end(), layer.starts.begin(), layer.starts.end());
      lengths.insert(lengths.end(), layer.lengths.begin(), layer.lengths.end());
    }
  }
  const auto device = keys_[0][0].device();
  starts_ = index_tensor(starts, device).view({n_layers, size(), n_heads});
  lengths_ = index_tensor(lengths, device).view({n_layers, size(), n_heads});
}

at::Tensor DecodeBatch::append_and_attend(int64_t layer, const at::Tensor& query,
                                          const at::Tensor& keys, const at::Tensor& values,
                                          double scale, int64_t window) {
  const at::Tensor starts = starts_[layer], lengths = lengths_[layer];
  const int64_t n_tokens = query.size(1);
  // Before anything is written: in a flat buffer the next head's rows follow.
  for (const KvCache* cache : caches_) {
    KVB_CHECK(cache->has_room(layer, n_tokens), "layer {} has no room for {} new tokens", layer,
              n_tokens);
  }
  lengths.add_(n_tokens);
  ragged_append(keys, keys_[layer], starts, lengths);
  ragged_append(values, values_[layer], starts, lengths);
  return ragged_attention(query, keys_[layer], values_[layer], starts, lengths, scale, window);
}

void DecodeBatch::advance(int64_t n_tokens) {
  for (KvCache* cache : caches_) cache->advance(n_tokens);
}

}  // namespace kvbench
