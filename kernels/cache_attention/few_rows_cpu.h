// Decode: a few query rows walk the keys of a unit in tiles with an online softmax.
#pragma once

#include <cmath>
#include <vector>

#include "kernels/cache_attention/row_products_cpu.h"
#include "kernels/cache_attention/unit_cpu.h"
#include "kernels/common/rows_cpu.h"

namespace kvbench {

// Of a thread. Tiles are read in place where rows are whole steps, else as floats with zeros behind
// each row.
template <class E, bool kInPlace>
class FewRows {
  using Storage = typename E::Storage;
  using Keys = std::conditional_t<kInPlace, KeyRows<E>, FloatRows<Float32>>;
  using Values = std::conditional_t<kInPlace, FloatRows<E>, FloatRows<Float32>>;
  using Number = typename Values::Storage;
  static constexpr int64_t kMostKeys = 64;  // of a tile

  // Two tiles of keys and one of values are in the nearest cache.
  static int64_t tile_of(int64_t width) {
    constexpr int64_t kBytes = 8 << 10;
    const int64_t row_bytes = width * static_cast<int64_t>(sizeof(Number));
    return row_bytes * kMostKeys > kBytes ? kMostKeys / 2 : kMostKeys;
  }

 public:
  explicit FewRows(const CacheAttention& op)
      : op_(op),
        rows_(op),
        d_(op.cache.head_dim),
        width_(whole_vectors(d_)),
        tile_(tile_of(width_)),
        queries_(rows_.size * width_),
        scores_(rows_.size * tile_),
        totals_(rows_.size * kLanes),
        sums_(rows_.size * width_),
        keys_(kInPlace ? 0 : tile_ * width_),
        values_(keys_.size()) {}

  void run(const Unit& unit, const Partial& partial) {
    load_queries(unit);
    std::fill_n(partial.largest, rows_.size, Partial::kLowest);
    std::fill(totals_.begin(), totals_.end(), 0.0F);
    std::fill(sums_.begin(), sums_.end(), 0.0F);
    const int64_t head = unit.sequence * op_.cache.n_kv_heads + unit.kv_head;
    const auto row = [&](const void* arena, int64_t j) {
      return static_cast<const Storage*>(arena) + (op_.cache.starts[head] + j) * d_;
    };
    for (int64_t j = unit.first_key; j < unit.end_key; j += tile_) {
      const int64_t count = std::min(tile_, unit.end_key - j);
      const Number* keys = tile(row(op_.cache.keys, j), count, keys_);
      const Number* values = tile(row(op_.cache.values, j), count, values_);
      const bool last = j + 2 * tile_ > unit.end_key;
      for_row_blocks(rows_.size, [&](int64_t r, auto n) {
        dot_rows<Keys, n()>(queries_.data() + r * width_, keys, count, width_, values,
                            scores_.data() + r * tile_, tile_);
      });
      for (int64_t r = 0; r < rows_.size; ++r) {
        weigh(r, op_.cache.lengths[head] - rows_.m + 1 + r % rows_.m - j, count, partial);
      }
      for_row_blocks(rows_.size, [&](int64_t r, auto n) {
        add_rows<Values, n()>(scores_.data() + r * tile_, tile_, values, count, width_, width_,
                              last || r > 0 ? values : keys + tile_ * width_,
                              sums_.data() + r * width_);
      });
    }
    for (int64_t r = 0; r < rows_.size; ++r) {
      partial.total[r] = horizontal_sum(Float32::load_lanes(totals_.data() + r * kLanes));
      for (int64_t c = 0; c < d_; ++c) {
        partial.sum[r * d_ + c] = sums_[r * width_ + Values::place(c)];
      }
    }
  }

 private:
  void load_queries(const Unit& unit) {
    for (int64_t r = 0; r < rows_.size; ++r) {
      const auto* query = static_cast<const Storage*>(op_.query) + rows_.place(unit, r) * d_;
      for (int64_t c = 0; c < d_; ++c) {
        auto& number = queries_[r * width_ + Keys::place(c)];
        if constexpr (kInPlace) {
          number = Keys::number(query + c);
        } else {
          number = E::load(query + c);
        }
      }
    }
  }

  const Number* tile(const Storage* rows, int64_t count, std::vector<float>& floats) {
    if constexpr (kInPlace) {
      return rows;
    } else {
      for (int64_t j = 0; j < count; ++j) {
        float* to = floats.data() + j * width_;
        for_vectors<E>(rows + j * d_, d_,
                       [&](int64_t c, Vec x) { Float32::store_lanes(x, to + c); });
      }
      return floats.data();
    }
  }

  // Scores of row r with a tile's keys become weights; what was summed before is brought down to a
  // new maximum. Of the tile's keys, counted from its first, the row's token sees those before
  // `end`.
  void weigh(int64_t r, int64_t end, int64_t count, const Partial& partial) {
    float* scores = scores_.data() + r * tile_;
    const int64_t seen = std::clamp<int64_t>(end, 0, count);
    const int64_t first = op_.window > 0 ? std::clamp<int64_t>(end - op_.window, 0, seen) : 0;
    std::fill(scores, scores + first, Partial::kMasked);
    std::fill(scores + seen, scores + tile_, Partial::kMasked);
    const float before = partial.largest[r];
    Vec most = Vec{} + before;
    for (int64_t j = 0; j < tile_; j += kLanes) {
      const Vec v = Float32::load_lanes(scores + j);
      most = v > most ? v : most;
    }
    const float largest = horizontal_max(most);
    Vec total = Float32::load_lanes(totals_.data() + r * kLanes);
    if (largest != before) {
      const float shrink = std::exp((before - largest) * op_.scale);
      partial.largest[r] = largest;
      total *= shrink;
      float* sums = sums_.data() + r * width_;
      for (int64_t c = 0; c < width_; c += kLanes) {
        Float32::store_lanes(Float32::load_lanes(sums + c) * shrink, sums + c);
      }
    }
    for (int64_t j = 0; j < tile_; j += kLanes) {
      const Vec weight = softmax_weight(Float32::load_lanes(scores + j), largest, op_.scale);
      Float32::store_lanes(weight, scores + j);
      total += weight;
    }
    Float32::store_lanes(total, totals_.data() + r * kLanes);
  }

  const CacheAttention& op_;
  QueryRows rows_;
  int64_t d_, width_, tile_;
  std::vector<typename Keys::Query> queries_;  // [R, width]
  std::vector<float> scores_, totals_, sums_;  // [R, tile], [R, kLanes], [R, width]
  std::vector<float> keys_, values_;           // [tile, width] where not in place
};

}  // namespace kvbench
