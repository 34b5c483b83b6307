// A block of question tokens: the lanes of a vector are query rows, which walk the keys of a unit
// in tiles with an online softmax.
#pragma once

#include <vector>

#include "kernels/cache_attention/unit_cpu.h"
#include "kernels/common/multiply.h"
#include "kernels/common/rows_cpu.h"
#include "kernels/common/vector_math.h"

namespace kvbench {

// Of a thread. Products are P's: of floats, or of pairs of bfloat16, to which weights are rounded
// then.
template <class E, class P>
class ManyRows {
  using Storage = typename E::Storage;
  using Number = typename P::Storage;
  using Element = typename P::Element;
  static constexpr bool kKeysInPlace = std::is_same_v<Storage, Number>;
  static constexpr int64_t kTile = 64;
  static constexpr int64_t kPanel = kBlockVecs * kLanes;  // rows whose scores are at hand together
  using Ints = int32_t __attribute__((vector_size(4 * kLanes)));

  // Rows are columns of a panel.
  struct ColumnsOfPanel : P {
    static Vec add(Vec sum, Vec columns, const Number* row, int64_t k) {
      return P::add(sum, columns, row, k * kPanel);
    }
  };

 public:
  explicit ManyRows(const CacheAttention& op)
      : op_(op),
        rows_(op),
        d_(op.cache.head_dim),
        width_(whole_vectors(d_)),
        padded_rows_(whole_vectors(rows_.size)),
        queries_(d_ / P::kSize * padded_rows_),
        tokens_(padded_rows_),
        largest_(padded_rows_),
        totals_(padded_rows_),
        keys_(kKeysInPlace ? 0 : kTile * width_),
        values_(kTile / P::kSize * width_),
        scores_(kTile * kPanel),
        weights_(kTile / P::kSize * kPanel),
        sums_(rows_.size * width_) {
    for (int64_t r = 0; r < padded_rows_; ++r) tokens_[r] = static_cast<int32_t>(r % rows_.m);
  }

  void run(const Unit& unit, const Partial& partial) {
    load_queries(unit);
    std::fill(largest_.begin(), largest_.end(), Partial::kLowest);
    std::fill(totals_.begin(), totals_.end(), 0.0F);
    std::fill(sums_.begin(), sums_.end(), 0.0F);
    const int64_t head = unit.sequence * op_.cache.n_kv_heads + unit.kv_head;
    const auto row = [&](const void* arena, int64_t j) {
      return static_cast<const Storage*>(arena) + (op_.cache.starts[head] + j) * d_;
    };
    for (int64_t j = unit.first_key; j < unit.end_key; j += kTile) {
      const int64_t count = std::min(kTile, unit.end_key - j);
      const int64_t end = op_.cache.lengths[head] - rows_.m + 1 - j;
      const auto [keys, stride] = key_tile(row(op_.cache.keys, j), count);
      load_values(row(op_.cache.values, j), count);
      for (int64_t r = 0; r < padded_rows_; r += kPanel) {
        const int64_t width = std::min(kPanel, padded_rows_ - r);
        multiply<false, P>(keys, stride, count, {queries_.data() + r, padded_rows_}, d_ / P::kSize,
                           width, scores_.data(), kPanel);
        for (int64_t i = 0; i < width; i += kLanes) weigh(r + i, end, count, scores_.data() + i);
        multiply<true, ColumnsOfPanel>(reinterpret_cast<const Number*>(weights_.data()), P::kSize,
                                       std::min(kPanel, rows_.size - r), {values_.data(), width_},
                                       (count + P::kSize - 1) / P::kSize, width_,
                                       sums_.data() + r * width_, width_);
      }
    }
    std::copy_n(largest_.begin(), rows_.size, partial.largest);
    std::copy_n(totals_.begin(), rows_.size, partial.total);
    for (int64_t r = 0; r < rows_.size; ++r) {
      std::copy_n(sums_.begin() + r * width_, d_, partial.sum + r * d_);
    }
  }

 private:
  // One element of P's, of two numbers or of one.
  static Element element(const Storage* first, const Storage* second) {
    if constexpr (P::kSize == 1) {
      return E::load(first);
    } else {
      return static_cast<Element>(*second) << 16 | *first;
    }
  }

  // [elements of d, rows]
  void load_queries(const Unit& unit) {
    for (int64_t r = 0; r < rows_.size; ++r) {
      const auto* query = static_cast<const Storage*>(op_.query) + rows_.place(unit, r) * d_;
      for (int64_t c = 0; c < d_; c += P::kSize) {
        queries_[c / P::kSize * padded_rows_ + r] = element(query + c, query + c + P::kSize - 1);
      }
    }
  }

  // Rows of the keys and their stride.
  std::pair<const Number*, int64_t> key_tile(const Storage* rows, int64_t count) {
    if constexpr (kKeysInPlace) {
      return {rows, d_};
    } else {
      load_floats(rows, count, keys_.data());
      return {keys_.data(), width_};
    }
  }

  // [elements of the tile's keys, width]; a missing number of the last element is 0.
  void load_values(const Storage* rows, int64_t count) {
    if constexpr (P::kSize == 1) {
      load_floats(rows, count, values_.data());
    } else {
      const std::vector<Storage> zeros(d_);
      Element* to = values_.data();
      for (int64_t j = 0; j < count; j += P::kSize, rows += P::kSize * d_, to += width_) {
        const Storage* next = j + 1 < count ? rows + d_ : zeros.data();
        for (int64_t c = 0; c < d_; ++c) to[c] = element(rows + c, next + c);
      }
    }
  }

  void load_floats(const Storage* rows, int64_t count, float* to) {
    for (int64_t j = 0; j < count; ++j, rows += d_, to += width_) {
      for_vectors<E>(rows, d_, [&](int64_t c, Vec x) { Float32::store_lanes(x, to + c); });
    }
  }

  // Scores [count, kPanel] of as many rows as a vector has lanes, from r on, become weights; what
  // was summed before is brought down to a new maximum. Of the tile's keys, counted from its first,
  // token 0 sees those before `end`, each later token one more.
  void weigh(int64_t r, int64_t end, int64_t count, float* scores) {
    mask(r, end, count, scores);
    const Vec before = Float32::load_lanes(largest_.data() + r);
    Vec largest = before;
    for (int64_t j = 0; j < count; ++j) {
      const Vec score = Float32::load_lanes(scores + j * kPanel);
      largest = score > largest ? score : largest;
    }
    Float32::store_lanes(largest, largest_.data() + r);
    const Vec shrink = softmax_weight(before, largest, op_.scale);
    for (int64_t i = 0; i < std::min(kLanes, rows_.size - r); ++i) {
      if (shrink[i] == 1) continue;
      float* sums = sums_.data() + (r + i) * width_;
      for (int64_t c = 0; c < width_; c += kLanes) {
        Float32::store_lanes(Float32::load_lanes(sums + c) * shrink[i], sums + c);
      }
    }
    Vec total = Float32::load_lanes(totals_.data() + r) * shrink;
    const auto weight = [&](int64_t j) {
      if (j >= count) return Vec{};
      const Vec of_key =
          softmax_weight(Float32::load_lanes(scores + j * kPanel), largest, op_.scale);
      return P::kSize == 1 ? of_key : E::round_lanes(of_key);
    };
    Element* weights = weights_.data() + (scores - scores_.data());
    for (int64_t j = 0; j < count; j += P::kSize) {
      const Vec first = weight(j);
      total += first;
      if constexpr (P::kSize == 1) {
        Float32::store_lanes(first, weights + j * kPanel);
      } else {
        const Vec second = weight(j + 1);
        total += second;
        const Bits32 pairs =
            reinterpret_cast<Bits32>(second) | reinterpret_cast<Bits32>(first) >> 16;
        std::memcpy(weights + j / P::kSize * kPanel, &pairs, sizeof pairs);
      }
    }
    Float32::store_lanes(total, totals_.data() + r);
  }

  void mask(int64_t r, int64_t end, int64_t count, float* scores) const {
    if (end >= count && op_.window == 0) return;
    Ints token;
    std::memcpy(&token, tokens_.data() + r, sizeof token);
    const Ints ends = token + static_cast<int32_t>(end);
    const Ints firsts = op_.window > 0 ? ends - static_cast<int32_t>(op_.window) : Ints{};
    for (int64_t j = 0; j < count; ++j) {
      const auto key = static_cast<int32_t>(j);
      const Vec score = Float32::load_lanes(scores + j * kPanel);
      const Ints seen = (ends > key) & (firsts <= key);
      Float32::store_lanes(seen ? score : Vec{} + Partial::kMasked, scores + j * kPanel);
    }
  }

  const CacheAttention& op_;
  QueryRows rows_;
  int64_t d_, width_, padded_rows_;
  std::vector<Element> queries_;         // [elements of d, padded rows]
  std::vector<int32_t> tokens_;          // [padded rows]
  std::vector<float> largest_, totals_;  // [padded rows]
  std::vector<float> keys_;              // [kTile, width] where they are converted
  std::vector<Element> values_;          // [elements of kTile, width]
  std::vector<float> scores_;            // [kTile, kPanel]
  std::vector<Element> weights_;         // [elements of kTile, kPanel]
  std::vector<float> sums_;              // [R, width]
};

}  // namespace kvbench
