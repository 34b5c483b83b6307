#include "harness/cache/kv_cache.h"

#include <ATen/ATen.h>

#include "harness/base/error.h"
#include "kernels/ragged_rows_torch.h"

namespace kvbench {
namespace {

constexpr int64_t kGrowth = 64;  // tokens: an append is in place at least this often

at::Tensor index_tensor(const std::vector<int64_t>& values, c10::Device device) {
  return at::tensor(values, at::kLong).to(device);
}

bool layer_has_room(const KvCache::Layer& layer, int64_t n_tokens) {
  for (size_t h = 0; h < layer.lengths.size(); ++h) {
    if (layer.lengths[h] + n_tokens > layer.capacities[h]) return false;
  }
  return true;
}

// Moves a layer into buffers with room for `n_tokens` more tokens behind each head. When there is
// no memory for them the layer stays as it is.
void move_to_buffers_with_room(KvCache::Layer& layer, int64_t n_tokens) {
  KvCache::Layer moved;
  moved.lengths = layer.lengths;
  int64_t rows = 0;
  for (const int64_t length : layer.lengths) {
    moved.starts.push_back(rows);
    moved.capacities.push_back(length + n_tokens);
    rows += length + n_tokens;
  }
  const auto copy = [&](const at::Tensor& buffer) {
    at::Tensor other = at::empty({rows, buffer.size(1)}, buffer.options());
    for (size_t h = 0; h < moved.starts.size(); ++h) {
      other.narrow(0, moved.starts[h], layer.lengths[h])
          .copy_(buffer.narrow(0, layer.starts[h], layer.lengths[h]));
    }
    return other;
  };
  moved.keys = copy(layer.keys);
  moved.values = copy(layer.values);
  layer = std::move(moved);
}

}  // namespace

bool KvCache::has_room(int64_t layer, int64_t n_tokens) const {
  return layer_has_room(layers_.at(layer), n_tokens);
}

KvCache::KvCache(int64_t n_layers) : layers_(n_layers) {}

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
    layer.capacities.push_back(kept.count(h));
    rows += kept.count(h);
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

void KvCache::store_window(int64_t index, const at::Tensor& keys, const at::Tensor& values,
                           int64_t window) {
  store(index, keys, values, keep_latest(keys.size(0), keys.size(1), window - 1));
}

void KvCache::cut_to_window(int64_t index, int64_t window) {
  const auto& lengths = layers_.at(index).lengths;  // the same of every head
  if (lengths.at(0) < window) return;
  cut(index, keep_latest(static_cast<int64_t>(lengths.size()), lengths[0], window - 1));
}

bool KvCache::reserve(int64_t n_tokens) {
  bool grew = false;
  for (auto& layer : layers_) {
    if (layer_has_room(layer, n_tokens)) continue;
    move_to_buffers_with_room(layer, std::max(n_tokens, kGrowth));
    grew = true;
  }
  return grew;
}

void KvCache::advance(int64_t n_tokens) {
  for (auto& layer : layers_) {
    KVB_CHECK(layer_has_room(layer, n_tokens), "{} tokens were appended without room for them",
              n_tokens);
    for (auto& length : layer.lengths) length += n_tokens;
  }
  next_position_ += n_tokens;
  appended_ += n_tokens;
}

void KvCache::cut(int64_t index, const KeptTokens& kept_rows) {
  Layer& layer = layers_.at(index);
  const auto n_heads = static_cast<int64_t>(layer.lengths.size());
  KVB_CHECK(kept_rows.n_kv_heads() == n_heads, "kept rows of {} heads for {} KV heads",
            kept_rows.n_kv_heads(), n_heads);
  int64_t in_use = 0;
  for (int64_t h = 0; h < n_heads; ++h) {
    const int64_t n_kept = kept_rows.count(h);
    const int64_t* rows = kept_rows.positions.data() + kept_rows.offsets[h];
    int64_t still = 0;  // rows that stay where they are
    while (still < n_kept && rows[still] == still) ++still;
    if (still < n_kept) {
      KVB_CHECK(rows[n_kept - 1] < layer.lengths[h] && std::is_sorted(rows, rows + n_kept),
                "kept rows of KV head {} must ascend below {}", h, layer.lengths[h]);
      const at::Tensor moved = index_tensor({rows + still, rows + n_kept}, layer.keys.device());
      for (const at::Tensor* buffer : {&layer.keys, &layer.values}) {
        const at::Tensor head = buffer->narrow(0, layer.starts[h], layer.lengths[h]);
        head.narrow(0, still, n_kept - still).copy_(head.index_select(0, moved));
      }
    }
    KVB_CHECK(n_kept <= layer.lengths[h], "{} kept rows of {}", n_kept, layer.lengths[h]);
    layer.lengths[h] = n_kept;
    in_use += n_kept;
  }
  cut_since_store_ = true;
  if (2 * (in_use + n_heads * kGrowth) < layer.keys.size(0)) {
    move_to_buffers_with_room(layer, kGrowth);
  }
}

void KvCache::commit() {
  for (auto& layer : layers_) move_to_buffers_with_room(layer, 0);
  context_length_ = next_position_;
  appended_ = 0;
  cut_since_store_ = false;
}

KvCache KvCache::clone() const {
  KvCache copy = *this;
  for (auto& layer : copy.layers_) {
    layer.keys = layer.keys.clone();
    layer.values = layer.values.clone();
  }
  return copy;
}

void KvCache::rewind() {
  KVB_CHECK(!cut_since_store_, "a cache that was cut while decoding cannot be rewound");
  for (auto& layer : layers_) {
    for (auto& length : layer.lengths) length -= appended_;
  }
  next_position_ = context_length_;
  appended_ = 0;
}

int64_t KvCache::bytes_allocated() const {
  int64_t bytes = 0;
  for (const auto& layer : layers_) {
    if (!layer.keys.defined()) continue;  // not stored yet
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

}  // namespace kvbench
