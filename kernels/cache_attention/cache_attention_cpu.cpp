// Flash attention over the ragged cache on the CPU: the rows of a KV head are walked in tiles with
// an online softmax, all query rows of its GQA group together, so a key is read once per tile and
// query group. Long heads are cut into splits of a fixed number of rows, so that two threads share
// one long head and the result is the same for any number of threads.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/cache_attention/cache_attention.h"
#include "kernels/common/element.h"
#include "kernels/common/multiply.h"
#include "kernels/common/vector_math.h"

namespace kvbench {
namespace {

constexpr int64_t kTile = 64;     // keys per online-softmax step
constexpr int64_t kSplit = 1024;  // keys per unit of parallel work; a multiple of kTile
constexpr int64_t kDotRows = 8;   // up to here dot products beat transposing the key tile
constexpr float kNegInf = -std::numeric_limits<float>::infinity();

// One unit of work: query rows of one (sequence, KV head) against one split of its keys.
struct Unit {
  int64_t sequence, kv_head, first_key, end_key, partial;
};

// Running softmax of R query rows: maximum, sum of weights, weighted sum of values.
struct Partial {
  std::vector<float> largest, total, sum;  // [R], [R], [R, padded d]
};

int64_t padded(int64_t head_dim) { return (head_dim + kLanes - 1) / kLanes * kLanes; }

// scores[r][j] = query_r . key_j for R rows: keys stay as they lie in memory. A block of rows and
// keys has as many sums as a vector has lanes. Scores behind the last key are anything.
template <class E, int64_t R>
void dot_rows(const float* queries, const typename E::Storage* keys, int64_t count, int64_t d,
              float* scores) {
  constexpr int64_t kKeys = kLanes / static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(R)));
  for (int64_t j0 = 0; j0 < count; j0 += kKeys) {
    Vec acc[kLanes] = {};
    for (int64_t j = 0; j < kKeys; ++j) {
      const typename E::Storage* key = keys + std::min(j0 + j, count - 1) * d;
      for (int64_t c = 0; c < d; c += kLanes) {
        const Vec x = in_register(E::load_lanes(key + c));
        for (int64_t r = 0; r < R; ++r) {
          acc[r * kKeys + j] += x * Float32::load_lanes(queries + r * d + c);
        }
      }
    }
    const Vec sums = sums_of(acc);
    const auto* sum = reinterpret_cast<const char*>(&sums);
    for (int64_t r = 0; r < R; ++r) {
      std::memcpy(scores + r * kTile + j0, sum + r * kKeys * sizeof(float), kKeys * sizeof(float));
    }
  }
}

template <class E, int64_t R = 4>
void scores_by_dot(const float* queries, int64_t rows, const typename E::Storage* keys,
                   int64_t count, int64_t d, float* scores) {
  for (; rows >= R; rows -= R, queries += R * d, scores += R * kTile) {
    dot_rows<E, R>(queries, keys, count, d, scores);
  }
  if constexpr (R > 1) scores_by_dot<E, R - 1>(queries, rows, keys, count, d, scores);
}

template <class E>
class UnitWorker {
  using Storage = typename E::Storage;

 public:
  explicit UnitWorker(const CacheAttention& op)
      : op_(op),
        d_(op.cache.head_dim),
        padded_(padded(d_)),
        group_(op.n_heads / op.cache.n_kv_heads),
        rows_(group_ * op.n_tokens),
        queries_(rows_ * padded_),
        scores_(rows_ * kTile),
        keys_(kTile * padded_),
        values_(kTile * padded_) {}

  void run(const Unit& unit, Partial& partial) {
    const auto [S, m, Hq, H, d] = op_.shape();
    load_queries(unit);
    partial.largest.assign(rows_, kNegInf);
    partial.total.assign(rows_, 0);
    partial.sum.assign(rows_ * padded_, 0);
    const int64_t head = unit.sequence * H + unit.kv_head;
    const auto* keys = static_cast<const Storage*>(op_.cache.keys) + op_.cache.starts[head] * d;
    const auto* values = static_cast<const Storage*>(op_.cache.values) + op_.cache.starts[head] * d;
    const int64_t first_seen = op_.cache.lengths[head] - m + 1;  // rows that token 0 may see
    for (int64_t j0 = unit.first_key; j0 < unit.end_key; j0 += kTile) {
      const int64_t count = std::min(kTile, unit.end_key - j0);
      score_tile(keys + j0 * d, count);
      softmax_tile(j0, count, first_seen, partial);
      if (rows_ <= kDotRows && d_ == padded_) {
        multiply<true, ConvertingProduct<E>>(scores_.data(), kTile, rows_, values + j0 * d, d,
                                             count, d, partial.sum.data(), d);
      } else {
        multiply<true>(scores_.data(), kTile, rows_, float_tile(values + j0 * d, count, values_),
                       padded_, count, padded_, partial.sum.data(), padded_);
      }
    }
  }

 private:
  // Query rows of the group, scaled, in float: row g * m + i.
  void load_queries(const Unit& unit) {
    const auto [S, m, Hq, H, d] = op_.shape();
    for (int64_t g = 0; g < group_; ++g) {
      for (int64_t i = 0; i < m; ++i) {
        const auto* query = static_cast<const Storage*>(op_.query) +
                            ((unit.sequence * m + i) * Hq + unit.kv_head * group_ + g) * d;
        for (int64_t c = 0; c < d; ++c) {
          queries_[(g * m + i) * padded_ + c] = E::load(query + c) * op_.scale;
        }
      }
    }
  }

  void score_tile(const Storage* keys, int64_t count) {
    if (rows_ <= kDotRows && d_ == padded_) {
      scores_by_dot<E>(queries_.data(), rows_, keys, count, d_, scores_.data());
    } else if (rows_ <= kDotRows) {
      scores_by_dot<Float32>(queries_.data(), rows_, float_tile(keys, count, keys_), count, padded_,
                             scores_.data());
    } else {
      for (int64_t j = 0; j < count; ++j) {
        for (int64_t c = 0; c < d_; ++c) keys_[c * kTile + j] = E::load(keys + j * d_ + c);
      }
      multiply<false>(queries_.data(), padded_, rows_, keys_.data(), kTile, d_, kTile,
                      scores_.data(), kTile);
    }
  }

  // Rows in float, [count, padded d]: as they lie in memory where that is the same, else in `tile`,
  // whose padding stays zero.
  const float* float_tile(const Storage* rows, int64_t count, std::vector<float>& tile) {
    if (d_ != padded_) {
      for (int64_t j = 0; j < count; ++j) {
        for (int64_t c = 0; c < d_; ++c) tile[j * padded_ + c] = E::load(rows + j * d_ + c);
      }
    } else if constexpr (std::is_same_v<Storage, float>) {
      return rows;
    } else {
      for (int64_t x = 0; x < count * d_; x += kLanes) {
        const Vec value = E::load_lanes(rows + x);
        std::memcpy(tile.data() + x, &value, sizeof value);
      }
    }
    return tile.data();
  }

  // Scores of a tile become weights; earlier sums are rescaled to the new maximum.
  void softmax_tile(int64_t j0, int64_t count, int64_t first_seen, Partial& partial) {
    const int64_t m = op_.n_tokens;
    for (int64_t row = 0; row < rows_; ++row) {
      float* scores = scores_.data() + row * kTile;
      const int64_t end = first_seen + row % m - j0;  // of the rows that the token sees
      const int64_t seen = std::clamp<int64_t>(end, 0, count);
      const int64_t first = op_.window > 0 ? std::clamp<int64_t>(end - op_.window, 0, seen) : 0;
      std::fill(scores, scores + first, kNegInf);
      std::fill(scores + seen, scores + kTile, kNegInf);
      if (first == seen) {
        std::fill(scores, scores + kTile, 0.0F);
        continue;
      }
      float& largest = partial.largest[row];
      const float before = largest;
      for (int64_t j = first; j < seen; ++j) largest = std::max(largest, scores[j]);
      if (largest != before && before != kNegInf) {
        const float shrink = std::exp(before - largest);
        partial.total[row] *= shrink;
        float* sum = partial.sum.data() + row * padded_;
        for (int64_t c = 0; c < padded_; ++c) sum[c] *= shrink;
      }
      Vec total = {};
      for (int64_t j = 0; j < kTile; j += kLanes) {
        // A masked column is -inf here and weighs exactly nothing.
        const Vec weight = exp_nonpositive(Float32::load_lanes(scores + j) - largest);
        std::memcpy(scores + j, &weight, sizeof weight);
        total += weight;
      }
      partial.total[row] += horizontal_sum(total);
    }
  }

  const CacheAttention& op_;
  int64_t d_, padded_, group_, rows_;
  std::vector<float> queries_, scores_, keys_, values_;
};

// Merges the splits of one (sequence, KV head), in order, and writes its output rows.
template <class E>
void combine(const CacheAttention& op, const Unit& first, const Partial* partials,
             int64_t n_splits) {
  const auto [S, m, Hq, H, d] = op.shape();
  const int64_t group = Hq / H, stride = padded(d);
  std::vector<float> sum(d);
  for (int64_t row = 0; row < group * m; ++row) {
    float largest = kNegInf, total = 0;
    for (int64_t p = 0; p < n_splits; ++p) {
      largest = std::max(largest, partials[p].largest[row]);
    }
    std::fill(sum.begin(), sum.end(), 0.0F);
    for (int64_t p = 0; p < n_splits; ++p) {
      if (partials[p].total[row] == 0) continue;  // saw no key of this split
      const float share = std::exp(partials[p].largest[row] - largest);
      total += share * partials[p].total[row];
      for (int64_t c = 0; c < d; ++c) {
        sum[c] += share * partials[p].sum[row * stride + c];
      }
    }
    auto* out = static_cast<typename E::Storage*>(op.out) +
                ((first.sequence * m + row % m) * Hq + first.kv_head * group + row / m) * d;
    for (int64_t c = 0; c < d; ++c) out[c] = E::from(sum[c] / total);
  }
}

template <class E>
void attention(const CacheAttention& op) {
  const auto [S, m, Hq, H, d] = op.shape();
  std::vector<Unit> units;
  std::vector<int64_t> first_unit;  // of each (sequence, KV head), and one past the end
  for (int64_t s = 0; s < S; ++s) {
    for (int64_t h = 0; h < H; ++h) {
      first_unit.push_back(static_cast<int64_t>(units.size()));
      const int64_t length = op.cache.lengths[s * H + h];
      for (int64_t j = 0; j < length; j += kSplit) {
        units.push_back({s, h, j, std::min(j + kSplit, length), 0});
      }
    }
  }
  first_unit.push_back(static_cast<int64_t>(units.size()));
  const auto n_units = static_cast<int64_t>(units.size());
  std::vector<Partial> partials(units.size());
#pragma omp parallel if (n_units > 1)
  {
    UnitWorker<E> worker(op);
#pragma omp for schedule(dynamic)
    for (int64_t u = 0; u < n_units; ++u) worker.run(units[u], partials[u]);
#pragma omp for
    for (int64_t x = 0; x < S * H; ++x) {
      const int64_t u = first_unit[x];
      combine<E>(op, units[u], &partials[u], first_unit[x + 1] - u);
    }
  }
}

}  // namespace

void cache_attention_cpu(const CacheAttention& op) {
  with_element(op.cache.dtype, [&](auto element) { attention<decltype(element)>(op); });
}

}  // namespace kvbench
