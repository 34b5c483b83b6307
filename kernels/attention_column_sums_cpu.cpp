// Queries are taken in blocks, of a whole GQA group together; a block's keys are walked in segments
// that threads share. The weights of a segment are relative to the largest logit that each query
// has there: what the segments are worth beside each other is known when all have been seen. By
// then the weights of as many segments as kKeptBytes hold are still there; those of the others are
// computed once more.
#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "kernels/attention_column_sums.h"
#include "kernels/element.h"
#include "kernels/multiply.h"
#include "kernels/vector_math.h"

namespace kvbench {
namespace {

constexpr int64_t kBlock = 64;     // queries of each query head
constexpr int64_t kTile = 64;      // keys that are multiplied at a time
constexpr int64_t kSegment = 256;  // keys
constexpr int64_t kKeptBytes = 16 << 20;

int64_t padded(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

template <class E>
class ColumnSums {
  using Storage = typename E::Storage;

 public:
  explicit ColumnSums(const AttentionColumnSums& op)
      : op_(op),
        group_(op.n_heads / op.n_kv_heads),
        rows_(padded(group_ * std::min(kBlock, op.n_queries))),
        n_segments_((op.n_tokens + kSegment - 1) / kSegment),
        n_kept_(std::min(n_segments_, kKeptBytes / (kSegment * rows_ * 4))),
        queries_(op.head_dim * rows_),
        kept_(n_kept_ * kSegment * rows_),
        largest_(n_segments_ * rows_),
        shares_(n_segments_ * rows_) {}

  void run() {
    std::fill_n(op_.out, (op_.of_heads ? op_.n_heads : op_.n_kv_heads) * op_.n_columns, 0.0F);
    for (int64_t head = 0; head < op_.n_kv_heads; ++head) {
      for (int64_t i = 0; i < op_.n_queries; i += kBlock) {
        add({head, i, std::min(kBlock, op_.n_queries - i), op_.n_tokens - op_.n_queries + i});
      }
    }
  }

 private:
  // Queries of one KV head's group: n of each query head, of the tokens from `position` on.
  struct Block {
    int64_t head, first, n, position;
  };

  void add(const Block& block) {
    load_queries(block);
    n_segments_ = (block.position + block.n + kSegment - 1) / kSegment;  // that they see
#pragma omp parallel if (n_segments_ > 1)
    {
      std::vector<float> keys(kTile * op_.head_dim), weights;
#pragma omp for schedule(dynamic)
      for (int64_t s = 0; s < n_segments_; ++s) weigh(block, s, keys, weights_of(s, weights));
#pragma omp single
      share_out(block.n);
#pragma omp for schedule(dynamic)
      for (int64_t s = 0; s < n_segments_; ++s) {
        float* of_segment = weights_of(s, weights);
        if (s >= n_kept_) weigh(block, s, keys, of_segment);
        sum_up(block, s, of_segment);
      }
    }
  }

  // Scaled, [d, rows]: those of one query head after the other, then zeros up to whole vectors.
  void load_queries(const Block& block) {
    std::fill(queries_.begin(), queries_.end(), 0.0F);
    for (int64_t g = 0; g < group_; ++g) {
      for (int64_t i = 0; i < block.n; ++i) {
        const auto* query = static_cast<const Storage*>(op_.queries.data) +
                            (block.head * group_ + g) * op_.queries.head_stride +
                            (block.first + i) * op_.queries.row_stride;
        for (int64_t c = 0; c < op_.head_dim; ++c) {
          queries_[c * rows_ + g * block.n + i] = E::load(query + c) * op_.scale;
        }
      }
    }
  }

  float* weights_of(int64_t segment, std::vector<float>& own) {
    if (segment < n_kept_) return kept_.data() + segment * kSegment * rows_;
    own.resize(kSegment * rows_);
    return own.data();
  }

  // Weights [keys, rows] of a segment, the largest logit and the sum of weights of each row.
  void weigh(const Block& block, int64_t segment, std::vector<float>& keys, float* weights) {
    const int64_t first = segment * kSegment;
    const int64_t n = std::min(kSegment, block.position + block.n - first);
    const auto* rows = static_cast<const Storage*>(op_.keys.data) +
                       block.head * op_.keys.head_stride + first * op_.keys.row_stride;
    for (int64_t t = 0; t < n; t += kTile) {
      const int64_t count = std::min(kTile, n - t);
      const Storage* from = rows + t * op_.keys.row_stride;
      if constexpr (std::is_same_v<Storage, float>) {
        multiply<false>(from, op_.keys.row_stride, count, queries_.data(), rows_, op_.head_dim,
                        rows_, weights + t * rows_, rows_);
      } else {
        load_keys(from, count, keys.data());
        multiply<false>(keys.data(), op_.head_dim, count, queries_.data(), rows_, op_.head_dim,
                        rows_, weights + t * rows_, rows_);
      }
    }
    mask(block, first, n, weights);
    for (int64_t r = 0; r < rows_; r += kLanes) {
      // No row's maximum is infinite, which the difference of a masked one with it would not bear.
      Vec largest = Vec{} - std::numeric_limits<float>::max(), total = {};
      for (int64_t t = 0; t < n; ++t) {
        const Vec logit = Float32::load_lanes(weights + t * rows_ + r);
        largest = logit > largest ? logit : largest;
      }
      for (int64_t t = 0; t < n; ++t) {
        float* at = weights + t * rows_ + r;
        const Vec weight = exp_nonpositive(Float32::load_lanes(at) - largest);
        Float32::store_lanes(weight, at);
        total += weight;
      }
      Float32::store_lanes(largest, largest_.data() + segment * rows_ + r);
      Float32::store_lanes(total, shares_.data() + segment * rows_ + r);
    }
  }

  void load_keys(const Storage* rows, int64_t count, float* keys) const {
    const int64_t d = op_.head_dim, whole = d / kLanes * kLanes;
    for (int64_t t = 0; t < count; ++t, rows += op_.keys.row_stride, keys += d) {
      for (int64_t c = 0; c < whole; c += kLanes) {
        Float32::store_lanes(E::load_lanes(rows + c), keys + c);
      }
      for (int64_t c = whole; c < d; ++c) keys[c] = E::load(rows + c);
    }
  }

  // Tokens do not see later ones.
  void mask(const Block& block, int64_t first, int64_t n, float* logits) const {
    for (int64_t t = std::max<int64_t>(0, block.position - first); t < n; ++t) {
      const int64_t n_before = first + t - block.position;  // queries of earlier tokens
      for (int64_t g = 0; g < group_; ++g) {
        float* of_head = logits + t * rows_ + g * block.n;
        std::fill(of_head, of_head + n_before, -std::numeric_limits<float>::infinity());
      }
    }
  }

  // Sums of weights become what weights of a segment count in the result; those of no query
  // nothing.
  void share_out(int64_t n_queries) {
    const float factor = op_.of_heads ? op_.factor : op_.factor / static_cast<float>(group_);
    std::vector<float> factors(rows_);
    std::fill_n(factors.begin(), group_ * n_queries, factor);
    for (int64_t r = 0; r < rows_; r += kLanes) {
      const auto largest_of = [&](int64_t s) {
        return Float32::load_lanes(largest_.data() + s * rows_ + r);
      };
      Vec largest = largest_of(0), total = {};
      for (int64_t s = 1; s < n_segments_; ++s) {
        largest = largest_of(s) > largest ? largest_of(s) : largest;
      }
      for (int64_t s = 0; s < n_segments_; ++s) {
        total += Float32::load_lanes(shares_.data() + s * rows_ + r) *
                 exp_nonpositive(largest_of(s) - largest);
      }
      const Vec share = Float32::load_lanes(factors.data() + r) / total;
      for (int64_t s = 0; s < n_segments_; ++s) {
        Float32::store_lanes(share * exp_nonpositive(largest_of(s) - largest),
                             shares_.data() + s * rows_ + r);
      }
    }
  }

  void sum_up(const Block& block, int64_t segment, const float* weights) const {
    const int64_t first = segment * kSegment;
    const int64_t n = std::min({kSegment, block.position + block.n - first, op_.n_columns - first});
    const int64_t n_sums = op_.of_heads ? group_ : 1, width = group_ / n_sums * block.n;
    const float* shares = shares_.data() + segment * rows_;
    Bits32 lane;
    for (int64_t i = 0; i < kLanes; ++i) lane[i] = static_cast<uint32_t>(i);
    for (int64_t g = 0; g < n_sums; ++g) {
      float* sums = op_.out + (block.head * n_sums + g) * op_.n_columns + first;
      const int64_t begin = g * width;
      for (int64_t t = 0; t < n; ++t) {
        const float* of_key = weights + t * rows_;
        Vec sum = {};
        for (int64_t r = begin / kLanes * kLanes; r < begin + width; r += kLanes) {
          const Vec part = Float32::load_lanes(of_key + r) * Float32::load_lanes(shares + r);
          // Vectors at either end may have other heads' rows too.
          const Bits32 row = lane + static_cast<uint32_t>(r - begin);
          sum += row < static_cast<uint32_t>(width) ? part : Vec{};
        }
        sums[t] += horizontal_sum(sum);
      }
    }
  }

  const AttentionColumnSums& op_;
  int64_t group_, rows_, n_segments_, n_kept_;
  std::vector<float> queries_, kept_, largest_, shares_;
};

}  // namespace

void attention_column_sums_cpu(const AttentionColumnSums& op) {
  with_element(op.dtype, [&](auto element) { ColumnSums<decltype(element)>(op).run(); });
}

}  // namespace kvbench
