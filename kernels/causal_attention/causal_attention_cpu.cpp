// Flash attention: a block of a head's tokens against the keys in tiles, with an online softmax.
// Keys and values are laid out for the products once for all blocks. A unit of work is one block
// of one query head, so that no sum depends on the number of threads.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>
#include <vector>

#include "kernels/causal_attention/causal_attention.h"
#include "kernels/common/element.h"
#include "kernels/common/multiply.h"
#include "kernels/common/vector_math.h"

namespace kvbench {
namespace {

constexpr int64_t kTokens = 64;  // of a block
constexpr int64_t kTile = 64;    // keys at a time
constexpr float kNegInf = -std::numeric_limits<float>::infinity();

// How an element type is multiplied: rows of stored numbers with columns of elements, of kSize
// numbers that follow each other along the summed dimension.
template <class E>
struct InFloats : FloatProduct {
  static float number(const typename E::Storage* x) { return E::load(x); }
  static float element(const typename E::Storage* first, const typename E::Storage*) {
    return E::load(first);
  }
  static void put_weights(Vec weights, float* row) { Float32::store_lanes(weights, row); }
};

#ifdef __AVX512BF16__
struct InPairs : PairProduct {
  static uint16_t number(const uint16_t* x) { return *x; }
  static uint32_t element(const uint16_t* first, const uint16_t* second) {
    return static_cast<uint32_t>(*second) << 16 | *first;
  }
  static void put_weights(Vec weights, uint16_t* row) {
    const __m256bh rounded = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(weights));
    std::memcpy(row, &rounded, sizeof rounded);
  }
};
template <class E>
using Product = std::conditional_t<std::is_same_v<E, BFloat16>, InPairs, InFloats<E>>;
#else
template <class E>
using Product = InFloats<E>;
#endif

int64_t whole(int64_t n, int64_t step) { return (n + step - 1) / step; }

// Keys and values as the products take them, tile by tile of each KV head: keys [elements of a
// row][kTile], values [elements of kTile tokens][padded head size]; zeros behind the last token and
// number.
template <class E>
class Tiles {
  using P = Product<E>;
  using Storage = typename E::Storage;
  using Element = typename P::Element;

 public:
  explicit Tiles(const CausalAttention& op)
      : op_(op),
        n_tiles_(whole(op.n_tokens, kTile)),
        row_elements_(whole(op.head_dim, P::kSize)),
        padded_(whole(op.head_dim, kLanes) * kLanes),
        keys_(new Element[size() * row_elements_ * kTile]),
        values_(new Element[size() * kTileElements * padded_]) {}

  static constexpr int64_t kTileElements = kTile / P::kSize;
  int64_t size() const { return op_.n_kv_heads * n_tiles_; }
  int64_t row_elements() const { return row_elements_; }
  int64_t padded() const { return padded_; }
  const Element* keys(int64_t head, int64_t tile) const {
    return keys_.get() + (head * n_tiles_ + tile) * row_elements_ * kTile;
  }
  const Element* values(int64_t head, int64_t tile) const {
    return values_.get() + (head * n_tiles_ + tile) * kTileElements * padded_;
  }

  void fill(int64_t x) {
    const int64_t head = x / n_tiles_, first = x % n_tiles_ * kTile, d = op_.head_dim;
    const int64_t count = std::min(kTile, op_.n_tokens - first);
    const auto row = [&](const void* of, int64_t j) {
      return static_cast<const Storage*>(of) + (head * op_.n_tokens + first + j) * d;
    };
    constexpr Storage kZero = 0;
    Element* keys = keys_.get() + x * row_elements_ * kTile;
    std::fill_n(keys, row_elements_ * kTile, Element(0));
    for (int64_t j = 0; j < count; ++j) {
      const Storage* key = row(op_.keys, j);
      for (int64_t c = 0; c < row_elements_; ++c) {
        const int64_t last = (c + 1) * P::kSize - 1;
        keys[c * kTile + j] = P::element(key + c * P::kSize, last < d ? key + last : &kZero);
      }
    }
    Element* values = values_.get() + x * kTileElements * padded_;
    std::fill_n(values, kTileElements * padded_, Element(0));
    for (int64_t j = 0; j < count; j += P::kSize) {
      const int64_t last = j + P::kSize - 1;
      for (int64_t c = 0; c < d; ++c) {
        values[j / P::kSize * padded_ + c] =
            P::element(row(op_.values, j) + c, last < count ? row(op_.values, last) + c : &kZero);
      }
    }
  }

 private:
  const CausalAttention& op_;
  int64_t n_tiles_, row_elements_, padded_;
  std::unique_ptr<Element[]> keys_, values_;
};

// One thread's work on a block of a query head's tokens.
template <class E>
class Block {
  using P = Product<E>;
  using Storage = typename E::Storage;
  using Number = typename P::Storage;

 public:
  Block(const CausalAttention& op, const Tiles<E>& tiles)
      : op_(op),
        tiles_(tiles),
        queries_(kTokens * tiles.row_elements() * P::kSize),
        weights_(kTokens * kTile),
        scores_(kTokens * kTile),
        sums_(kTokens * tiles.padded()),
        largest_(kTokens),
        total_(kTokens) {}

  void run(int64_t head, int64_t block) {
    const int64_t first = block * kTokens, rows = std::min(kTokens, op_.n_tokens - first);
    const int64_t kv_head = head / (op_.n_heads / op_.n_kv_heads);
    const int64_t elements = tiles_.row_elements(), padded = tiles_.padded();
    load_queries(head, first, rows);
    std::fill(sums_.begin(), sums_.end(), 0.0F);
    std::fill(largest_.begin(), largest_.end(), kNegInf);
    std::fill(total_.begin(), total_.end(), 0.0F);
    const int64_t first_seen = op_.window > 0 ? std::max<int64_t>(0, first + 1 - op_.window) : 0;
    for (int64_t t = first_seen / kTile; t <= (first + rows - 1) / kTile; ++t) {
      multiply<false, P>(queries_.data(), elements * P::kSize, rows,
                         {tiles_.keys(kv_head, t), kTile}, elements, kTile, scores_.data(), kTile);
      for (int64_t r = 0; r < rows; ++r) weigh(r, first + r, t * kTile);
      multiply<true, P>(weights_.data(), kTile, rows, {tiles_.values(kv_head, t), padded},
                        Tiles<E>::kTileElements, padded, sums_.data(), padded);
    }
    write(head, first, rows);
  }

 private:
  // What is behind the last number of a row stays 0.
  void load_queries(int64_t head, int64_t first, int64_t rows) {
    for (int64_t r = 0; r < rows; ++r) {
      const auto* query = static_cast<const Storage*>(op_.query) + head * op_.query_head_stride +
                          (first + r) * op_.query_token_stride;
      Number* row = queries_.data() + r * tiles_.row_elements() * P::kSize;
      for (int64_t c = 0; c < op_.head_dim; ++c) row[c] = P::number(query + c);
    }
  }

  // Scores of a row and a tile become weights; what was summed is brought down to a new maximum.
  void weigh(int64_t r, int64_t token, int64_t first_key) {
    float* scores = scores_.data() + r * kTile;
    const int64_t seen = std::min(token + 1 - first_key, kTile);
    const int64_t unseen = op_.window > 0 ? token + 1 - op_.window - first_key : 0;
    if (seen < kTile) std::fill(scores + std::max<int64_t>(seen, 0), scores + kTile, kNegInf);
    if (unseen > 0) std::fill_n(scores, std::min(unseen, kTile), kNegInf);
    Vec most = Float32::load_lanes(scores);
    for (int64_t j = kLanes; j < kTile; j += kLanes) {
      const Vec v = Float32::load_lanes(scores + j);
      most = v > most ? v : most;
    }
    const float before = largest_[r];
    const float largest = std::max(before, horizontal_max(most));
    Number* weights = weights_.data() + r * kTile;
    if (largest == kNegInf) {  // nothing in sight yet
      std::fill_n(weights, kTile, Number(0));
      return;
    }
    if (largest != before && before != kNegInf) {
      const float shrink = std::exp((before - largest) * op_.scale);
      total_[r] *= shrink;
      float* sums = sums_.data() + r * tiles_.padded();
      for (int64_t c = 0; c < tiles_.padded(); c += kLanes) {
        Float32::store_lanes(Float32::load_lanes(sums + c) * shrink, sums + c);
      }
    }
    largest_[r] = largest;
    Vec total = {};
    for (int64_t j = 0; j < kTile; j += kLanes) {
      const Vec weight = softmax_weight(Float32::load_lanes(scores + j), largest, op_.scale);
      P::put_weights(weight, weights + j);
      total += weight;
    }
    total_[r] += horizontal_sum(total);
  }

  void write(int64_t head, int64_t first, int64_t rows) {
    for (int64_t r = 0; r < rows; ++r) {
      auto* out =
          static_cast<Storage*>(op_.out) + ((first + r) * op_.n_heads + head) * op_.head_dim;
      const float* sums = sums_.data() + r * tiles_.padded();
      for (int64_t c = 0; c < op_.head_dim; ++c) out[c] = E::from(sums[c] / total_[r]);
    }
  }

  const CausalAttention& op_;
  const Tiles<E>& tiles_;
  std::vector<Number> queries_, weights_;
  std::vector<float> scores_, sums_, largest_, total_;
};

template <class E>
void attention(const CausalAttention& op) {
  Tiles<E> tiles(op);
  const int64_t n_blocks = whole(op.n_tokens, kTokens);
#pragma omp parallel
  {
    Block<E> block(op, tiles);
#pragma omp for
    for (int64_t x = 0; x < tiles.size(); ++x) tiles.fill(x);
      // The last blocks see most: they come first.
#pragma omp for schedule(dynamic)
    for (int64_t u = 0; u < op.n_heads * n_blocks; ++u) {
      block.run(u % op.n_heads, n_blocks - 1 - u / op.n_heads);
    }
  }
}

}  // namespace

void causal_attention_cpu(const CausalAttention& op) {
  with_element(op.dtype, [&](auto element) { attention<decltype(element)>(op); });
}

}  // namespace kvbench
