#include "harness/cache/kv_cache.h"

#include <ATen/ATen.h>

#include "harness/base/error.h"
#include "kernels/tensor_ops.h"

namespace kvbench {
namespace {

at::Tensor index_tensor(const std::vector<int64_t>& values, c10::Device device) {
  return at::tensor(values, at::kLong).to(device);
}

}  // namespace

KvCache::KvCache(int64_t n_layers, int64_t slack) : layers_(n_layers), slack_(slack) {}

void KvCache::store(int64_t index, const at::Tensor& keys, const at::Tensor& values,
                    const KeptTokens& kept) {
  Layer& layer = layers_.at(index);
  KVB_CHECK(!layer.keys.defined(), "layer {} is stored twice", index);
  KVB_CHECK(keys.dim() == 3 && keys.sizes() == values.sizes(), "keys and values must be [H, T, d]");
  KVB_CHECK(kept.n_kv_heads() == keys.size(0), "kept tokens of {} heads for {} KV heads",
            kept.n_kv_heads(), keys.size(0));
  const int64_t context_length = keys.size(1);
  KVB_CHECK(context_length_ == 0 || context_length_ == context_length,
            "layer {} holds {} tokens, earlier ones {}", index, context_length, context_length_);
  context_length_ = next_position_ = context_length;

  int64_t rows = 0;
  for (int64_t h = 0; h < kept.n_kv_heads(); ++h) {
    layer.starts.push_back(rows);
    layer.lengths.push_back(kept.count(h));
    layer.capacities.push_back(kept.count(h) + slack_);
    rows += kept.count(h) + slack_;
  }
  layer.keys = at::empty({rows, keys.size(2)}, keys.options());
  layer.values = at::empty_like(layer.keys);
  const auto device = keys.device();
  const at::Tensor positions = index_tensor(kept.positions, device);
  const at::Tensor offsets = index_tensor(kept.offsets, device);
  const at::Tensor starts = index_tensor(layer.starts, device);
  ragged_gather(keys, positions, offsets, starts, layer.keys);
  ragged_gather(values, positions, offsets, starts, layer.values);
}

void KvCache::advance(int64_t n_tokens) {
  for (auto& layer : layers_) {
    for (size_t h = 0; h < layer.lengths.size(); ++h) {
      layer.lengths[h] += n_tokens;
      KVB_CHECK(layer.lengths[h] <= layer.capacities[h],
                "KV head {} has room for {} tokens, not {}", h, layer.capacities[h],
                layer.lengths[h]);
    }
  }
  next_position_ += n_tokens;
  appended_ += n_tokens;
}

void KvCache::rewind() {
  for (auto& layer : layers_) {
    for (auto& length : layer.lengths) length -= appended_;
  }
  next_position_ = context_length_;
  appended_ = 0;
}

int64_t KvCache::bytes_allocated() const {
  int64_t bytes = 0;
  for (const auto& layer : layers_) {
    bytes += static_cast<int64_t>(layer.keys.storage().nbytes() + layer.values.storage().nbytes());
  }
  return bytes;
}

int64_t KvCache::bytes_logical() const {
  int64_t bytes = 0;
  for (const auto& layer : layers_) {
    const auto row_bytes = layer.keys.size(1) * static_cast<int64_t>(layer.keys.element_size());
    for (const auto length : layer.lengths) bytes += 2 * length * row_bytes;
  }
  return bytes;
}

DecodeBatch::DecodeBatch(std::vector<KvCache*> caches) : caches_(std::move(caches)) {
  KVB_CHECK(!caches_.empty(), "a batch needs a sequence");
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
                                          double scale) {
  const at::Tensor starts = starts_[layer], lengths = lengths_[layer];
  const int64_t n_tokens = query.size(1);
  // Room before anything is written: in a flat buffer the next head's rows follow.
  for (const KvCache* cache : caches_) {
    const auto& l = cache->layer(layer);
    for (size_t h = 0; h < l.lengths.size(); ++h) {
      KVB_CHECK(l.lengths[h] + n_tokens <= l.capacities[h],
                "layer {}, KV head {}: {} cached + {} new tokens exceed its {} rows", layer, h,
                l.lengths[h], n_tokens, l.capacities[h]);
    }
  }
  lengths.add_(n_tokens);
  ragged_append(keys, keys_[layer], starts, lengths);
  ragged_append(values, values_[layer], starts, lengths);
  return ragged_attention(query, keys_[layer], values_[layer], starts, lengths, scale);
}

void DecodeBatch::advance(int64_t n_tokens) {
  for (KvCache* cache : caches_) cache->advance(n_tokens);
}

}  // namespace kvbench
