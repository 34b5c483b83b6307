#include "harness/cache/kv_cache.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "harness/base/error.h"
#include "kernels/cache_rows/cache_gather_torch.h"
#include "kernels/cache_rows/cache_move_torch.h"
#include "kernels/common/host_torch.h"

namespace kvbench {
namespace {

constexpr int64_t kGrowth = 64;  // tokens: an append is in place at least this often

}  // namespace

int64_t KvCache::Layer::n_rows() const {
  if (capacities.empty()) return keys.size(0);  // not known yet
  return std::accumulate(capacities.begin(), capacities.end(), int64_t{0});
}

bool KvCache::Layer::has_room(int64_t n_tokens) const {
  for (size_t h = 0; h < lengths.size(); ++h) {
    if (lengths[h] + n_tokens > capacities[h]) return false;
  }
  return true;
}

at::Tensor KvCache::Layer::first_rows(const at::Tensor& rows, int64_t head, int64_t n_heads,
                                      int64_t n) const {
  const int64_t d = rows.size(1), end = head + n_heads;
  const int64_t distance = n_heads == 1 ? n : starts.at(head + 1) - starts[head];
  bool evenly = distance >= 0;
  for (int64_t h = head; h < end; ++h) {
    KVB_CHECK(n <= capacities.at(h), "head {} has room for {} rows, not {}", h, capacities[h], n);
    evenly = evenly && starts[h] == starts[head] + (h - head) * distance;
  }
  if (evenly) {
    return rows.as_strided({n_heads, n, d}, {distance * d, d, 1},
                           rows.storage_offset() + starts[head] * d);
  }
  std::vector<at::Tensor> heads;
  for (int64_t h = head; h < end; ++h) heads.push_back(rows.narrow(0, starts[h], n));
  return at::stack(heads);
}

at::Tensor KvCache::Layer::first_rows(const at::Tensor& rows, int64_t n) const {
  for (size_t h = 0; h < starts.size(); ++h) {
    KVB_CHECK(starts[h] == starts[0] + static_cast<int64_t>(h) * capacities[0] &&
                  lengths[h] == lengths[0],
              "the heads of a full cache differ");
  }
  return first_rows(rows, 0, static_cast<int64_t>(starts.size()), n);
}

// Moves layers into one pair of new buffers with room for `n_tokens` more tokens behind each head.
void KvCache::move(const std::vector<Layer*>& layers, int64_t n_tokens) {
  std::vector<Layer> moved(layers.size());
  int64_t rows = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    moved[i].lengths = layers[i]->lengths;
    for (const int64_t length : layers[i]->lengths) {
      moved[i].starts.push_back(rows);
      moved[i].capacities.push_back(length + n_tokens);
      rows += length + n_tokens;
    }
  }
  at::Tensor keys = at::empty({rows, layers[0]->keys.size(1)}, layers[0]->keys.options());
  at::Tensor values = at::empty_like(keys);
  for (size_t first = 0, end = 0; first < layers.size(); first = end) {
    // Those that lie in one pair of buffers go together.
    std::vector<int64_t> from, to, n_rows;
    for (; end < layers.size() && layers[end]->keys.is_same(layers[first]->keys); ++end) {
      const Layer& layer = *layers[end];
      from.insert(from.end(), layer.starts.begin(), layer.starts.end());
      to.insert(to.end(), moved[end].starts.begin(), moved[end].starts.end());
      n_rows.insert(n_rows.end(), layer.lengths.begin(), layer.lengths.end());
    }
    cache_move(layers[first]->keys, layers[first]->values, from, to, n_rows, keys, values);
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    moved[i].keys = keys;
    moved[i].values = values;
    *layers[i] = std::move(moved[i]);
  }
}

void KvCache::move_together(const std::vector<KvCache*>& caches, int64_t layer, int64_t n_tokens) {
  std::vector<Layer*> layers;
  for (KvCache* cache : caches) layers.push_back(&cache->layers_.at(layer));
  move(layers, std::max(n_tokens, kGrowth));
}

void KvCache::leave_shared_buffers() {
  for (Layer& layer : layers_) {
    if (layer.n_rows() < layer.keys.size(0)) move({&layer}, 0);
  }
}

KvCache::KvCache(int64_t n_layers) : layers_(n_layers) {}

void KvCache::store(int64_t index, const at::Tensor& keys, const at::Tensor& values,
                    const Selection& kept) {
  Layer& layer = layers_.at(index);
  KVB_CHECK(!layer.keys.defined(), "layer {} is stored twice", index);
  KVB_CHECK(keys.dim() == 3 && keys.sizes() == values.sizes(), "keys and values must be [H, T, d]");
  KVB_CHECK(kept.counts.n_kv_heads() == keys.size(0), "kept tokens of {} heads for {} KV heads",
            kept.counts.n_kv_heads(), keys.size(0));
  const int64_t context_length = keys.size(1);
  KVB_CHECK(context_length_ == 0 || context_length_ == context_length,
            "layer {} holds {} tokens, earlier ones {}", index, context_length, context_length_);
  context_length_ = next_position_ = context_length;
  layer.keys = at::empty({kept.counts.at_most(), keys.size(2)}, keys.options());
  layer.values = at::empty_like(layer.keys);
  const at::Tensor starts = kept.offsets.narrow(0, 0, keys.size(0)).to(at::kLong);
  cache_gather(keys, values, kept.positions, kept.offsets, starts, layer.keys, layer.values);
  if (kept.counts.is_known()) set_lengths(index, kept.counts.on_host());
}

void KvCache::set_lengths(int64_t index, const std::vector<int64_t>& counts) {
  Layer& layer = layers_.at(index);
  KVB_CHECK(layer.lengths.empty(), "the lengths of layer {} are known", index);
  int64_t rows = 0;
  for (const int64_t count : counts) {
    layer.starts.push_back(rows);
    rows += count;
  }
  layer.lengths = layer.capacities = counts;
  KVB_CHECK(rows <= layer.keys.size(0), "{} kept rows in buffers of {}", rows, layer.keys.size(0));
  layer.capacities.back() += layer.keys.size(0) - rows;  // what was a bound
}

void KvCache::store_window(int64_t index, const at::Tensor& keys, const at::Tensor& values,
                           int64_t window) {
  store(index, keys, values, keep_latest(keys.size(0), keys.size(1), window - 1, keys.device()));
}

void KvCache::cut_to_window(int64_t index, int64_t window) {
  const auto& lengths = layers_.at(index).lengths;  // the same of every head
  if (lengths.at(0) < window) return;
  cut(index, keep_latest(static_cast<int64_t>(lengths.size()), lengths[0], window - 1, at::kCPU)
                 .on_host());
}

void KvCache::advance(int64_t n_tokens) {
  ++attended_.n_passes;
  attended_.n_heads = 0;
  for (auto& layer : layers_) {
    KVB_CHECK(layer.has_room(n_tokens), "{} tokens were appended without room for them", n_tokens);
    for (auto& length : layer.lengths) {
      length += n_tokens;
      attended_.n_entries += length;
      attended_.most = std::max(attended_.most, length);
    }
    attended_.n_heads += std::ssize(layer.lengths);
  }
  next_position_ += n_tokens;
  appended_ += n_tokens;
}

void KvCache::cut(int64_t index, const KeptTokens& kept_rows) {
  Layer& layer = layers_.at(index);
  const auto n_heads = static_cast<int64_t>(layer.lengths.size());
  KVB_CHECK(kept_rows.n_kv_heads() == n_heads, "kept rows of {} heads for {} KV heads",
            kept_rows.n_kv_heads(), n_heads);
  // Of all heads together: rows of the buffers that move, and where to.
  std::vector<int64_t> moved, from, to, n_rows;
  for (int64_t h = 0; h < n_heads; ++h) {
    const int64_t n_kept = kept_rows.count(h);
    const int64_t* rows = kept_rows.positions.data() + kept_rows.offsets[h];
    KVB_CHECK(n_kept <= layer.lengths[h] &&
                  std::all_of(rows, rows + n_kept,
                              [&](int64_t row) { return row >= 0 && row < layer.lengths[h]; }),
              "{} kept rows of KV head {} must be below {}", n_kept, h, layer.lengths[h]);
    int64_t still = 0;  // rows that stay where they are
    while (still < n_kept && rows[still] == still) ++still;
    if (still == n_kept) continue;
    from.push_back(std::ssize(moved));
    to.push_back(layer.starts[h] + still);
    n_rows.push_back(n_kept - still);
    for (int64_t i = still; i < n_kept; ++i) moved.push_back(layer.starts[h] + rows[i]);
  }
  if (!moved.empty()) {
    const int64_t n = std::ssize(moved);
    at::Tensor keys = at::empty({n, layer.keys.size(1)}, layer.keys.options());
    at::Tensor values = at::empty_like(keys);
    const auto device = layer.keys.device();
    const Selection picked = on_device(KeptTokens{std::move(moved), {0, n}}, device);
    cache_gather(layer.keys.unsqueeze(0), layer.values.unsqueeze(0), picked.positions,
                 picked.offsets, at::zeros({1}, at::TensorOptions(at::kLong).device(device)), keys,
                 values);
    cache_move(keys, values, from, to, n_rows, layer.keys, layer.values);
  }
  layer.lengths = kept_rows.counts();
  const int64_t in_use = std::ssize(kept_rows.positions);
  cut_since_store_ = true;
  const bool alone = layer.n_rows() == layer.keys.size(0);
  if (alone && 2 * (in_use + n_heads * kGrowth) < layer.keys.size(0)) move({&layer}, kGrowth);
}

void KvCache::commit() {
  for (auto& layer : layers_) move({&layer}, 0);
  context_length_ = next_position_;
  appended_ = 0;
  cut_since_store_ = false;
  attended_ = {};
}

KvCache KvCache::clone() const {
  KvCache copy(n_layers());
  copy.layers_ = layers_;
  for (auto& layer : copy.layers_) move({&layer}, 0);
  copy.context_length_ = context_length_;
  copy.next_position_ = next_position_;
  copy.appended_ = appended_;
  copy.cut_since_store_ = cut_since_store_;
  copy.attended_ = attended_;
  return copy;
}

void KvCache::rewind() {
  KVB_CHECK(!cut_since_store_, "a cache that was cut while decoding cannot be rewound");
  for (auto& layer : layers_) {
    for (auto& length : layer.lengths) length -= appended_;
  }
  next_position_ = context_length_;
  appended_ = 0;
  attended_ = {};
}

int64_t KvCache::bytes_allocated() const {
  int64_t bytes = 0;
  for (const auto& layer : layers_) {
    if (!layer.keys.defined()) continue;  // not stored yet
    bytes +=
        2 * layer.n_rows() * layer.keys.size(1) * static_cast<int64_t>(layer.keys.element_size());
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
