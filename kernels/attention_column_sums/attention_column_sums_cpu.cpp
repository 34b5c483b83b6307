// Queries are taken in blocks, of a whole GQA group together; a block's keys are walked in segments
// that threads share. The weights of a segment are relative to the largest logit that each query
// has there: what the segments are worth beside each other is known when all have been seen. By
// then the weights of as many segments as kKeptBytes hold are still there; those of the others are
// computed once more.
#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/attention_column_sums/attention_column_sums.h"
#include "kernels/common/element.h"
#include "kernels/common/lines.h"
#include "kernels/common/operands.h"
#include "kernels/common/vector_math.h"

namespace kvbench {
namespace {

constexpr int64_t kBlock = 64;                   // queries of each query head
constexpr int64_t kSegment = 64;                 // keys
constexpr int64_t kPanel = kBlockVecs * kLanes;  // rows whose logits stay in the nearest cache
constexpr int64_t kKeptBytes = 16 << 20;

template <class E, class Product>
class ColumnSums {
  using Element = typename Product::Element;

 public:
  explicit ColumnSums(const AttentionColumnSums& op)
      : op_(op),
        group_(op.n_heads / op.n_kv_heads),
        query_rows_(rows_of_group(std::min(kBlock, op.n_queries))),
        rows_(query_rows_ / n_merged()),
        n_segments_((op.n_tokens + kSegment - 1) / kSegment),
        n_kept_(std::min(n_segments_, kKeptBytes / (kSegment * rows_ * 4))),
        queries_(op.head_dim / Product::kSize * query_rows_),
        kept_(n_kept_ * kSegment * rows_),
        largest_(n_segments_ * rows_),
        shares_(n_segments_ * rows_) {}

  void run() {
    std::fill_n(op_.out, op_.n_rows() * op_.n_columns, 0.0F);
    for (int64_t head = 0; head < op_.n_kv_heads; ++head) {
      for (int64_t i = 0; i < op_.n_queries; i += kBlock) {
        const int64_t n = std::min(kBlock, op_.n_queries - i);
        const int64_t position = op_.causal ? op_.first_position() + i : op_.n_tokens;
        add({head, i, n, position, op_.causal ? position + n : op_.n_tokens});
      }
    }
  }

 private:
  using Group = AttentionColumnSums::Group;

  // Queries of one KV head's group: n of each query head, which see n_seen tokens together, those
  // before `position` all of them.
  struct Block {
    int64_t head, first, n, position, n_seen;
  };

  // Where the largest of a group counts, each of its query heads begins with a vector of its own.
  bool compares_heads() const { return op_.group == Group::kMax || op_.group == Group::kMaxLogit; }
  int64_t rows_of_group(int64_t n) const {
    return compares_heads() ? group_ * whole_vectors(n) : whole_vectors(group_ * n);
  }
  // From a query head's first row to that of the next one, in a block of n queries.
  int64_t rows_of_head(int64_t n) const { return compares_heads() ? query_rows_ / group_ : n; }
  // Query heads that have one row of weights together.
  int64_t n_merged() const { return op_.group == Group::kMaxLogit ? group_ : 1; }

  void add(const Block& block) {
    load_queries(block);
    n_segments_ = (block.n_seen + kSegment - 1) / kSegment;
#pragma omp parallel if (n_segments_ > 1)
    {
      Worker worker{
          Lines<float>(kConverts<E, Product> ? kSegment * op_.head_dim : 0),
          Lines<float>(kSegment * kPanel), Lines<float>(n_merged() > 1 ? kSegment * kPanel : 0),
          Lines<float>(n_kept_ < n_segments_ ? kSegment * rows_ : 0), Lines<float>(rows_)};
#pragma omp for schedule(dynamic)
      for (int64_t s = 0; s < n_segments_; ++s) weigh(block, s, shares_.data() + s * rows_, worker);
#pragma omp single
      share_out(block.n);
#pragma omp for schedule(dynamic)
      for (int64_t s = 0; s < n_segments_; ++s) {
        if (s >= n_kept_) weigh(block, s, worker.totals.data(), worker);
        sum_up(block, s, weights_of(s, worker));
      }
    }
  }

  // Of a thread.
  struct Worker {
    Lines<float> keys;             // [keys, d] where they are converted
    Lines<float> logits, others;   // of a panel, and of another query head's
    Lines<float> weights, totals;  // of a segment that is not kept, where they are made again
  };

  // [elements of d, rows]: those of one query head after the other, and zeros up to whole vectors.
  void load_queries(const Block& block) {
    std::fill_n(queries_.data(), op_.head_dim / Product::kSize * query_rows_, Element{});
    for (int64_t g = 0; g < group_; ++g) {
      load_columns<E, Product>(op_.queries, block.head * group_ + g, block.first, block.n,
                               op_.head_dim, queries_.data() + g * rows_of_head(block.n),
                               query_rows_);
    }
  }

  float* weights_of(int64_t segment, Worker& worker) {
    return segment < n_kept_ ? kept_.data() + segment * kSegment * rows_ : worker.weights.data();
  }

  // Weights [keys, rows] of a segment, the largest logit and the sum of weights of each row.
  void weigh(const Block& block, int64_t segment, float* totals, Worker& worker) {
    const int64_t first = segment * kSegment;
    const int64_t n = std::min(kSegment, block.n_seen - first);
    const auto keys =
        load_rows<E, Product>(op_.keys, block.head, first, n, op_.head_dim, worker.keys.data());
    float* logits = worker.logits.data();
    for (int64_t r0 = 0; r0 < rows_; r0 += kPanel) {
      const int64_t width = std::min(kPanel, rows_ - r0);
      for (int64_t g = 0; g < n_merged(); ++g) {
        float* products = g == 0 ? logits : worker.others.data();
        multiply<false, Product>(keys.data, keys.stride, n,
                                 {queries_.data() + g * rows_ + r0, query_rows_},
                                 op_.head_dim / Product::kSize, width, products, kPanel);
        if (g > 0) take_larger(products, n, width, logits);
      }
      mask(block, first, n, r0, width, logits);
      float* weights = weights_of(segment, worker) + r0;
      float* largest = largest_.data() + segment * rows_ + r0;
      if (width == kPanel) {
        weigh_rows<kBlockVecs>(logits, n, weights, largest, totals + r0);
      } else {
        for (int64_t r = 0; r < width; r += kLanes) {
          weigh_rows<1>(logits + r, n, weights + r, largest + r, totals + r0 + r);
        }
      }
    }
  }

  // Of logits [n, kPanel] of which `width` count.
  static void take_larger(const float* others, int64_t n, int64_t width, float* logits) {
    for (int64_t t = 0; t < n; ++t) {
      for (int64_t r = t * kPanel; r < t * kPanel + width; r += kLanes) {
        Float32::store_lanes(
            larger(Float32::load_lanes(logits + r), Float32::load_lanes(others + r)), logits + r);
      }
    }
  }

  // Of logits that are not scaled yet.
  Vec weight_of(Vec logit, Vec largest) const { return softmax_weight(logit, largest, op_.scale); }

  // Logits [n, kPanel] of the rows of V vectors become weights [n, rows].
  template <int64_t V>
  void weigh_rows(const float* logits, int64_t n, float* weights, float* largest_of,
                  float* total_of) const {
    Vec largest[V], total[V];
    for (int64_t v = 0; v < V; ++v) {
      // Not infinite, which the difference of a masked logit with it would not bear.
      largest[v] = Vec{} - std::numeric_limits<float>::max();
      total[v] = Vec{};
    }
    for (int64_t t = 0; t < n; ++t) {
      for (int64_t v = 0; v < V; ++v) {
        const Vec logit = Float32::load_lanes(logits + t * kPanel + v * kLanes);
        largest[v] = logit > largest[v] ? logit : largest[v];
      }
    }
    for (int64_t t = 0; t < n; ++t) {
      for (int64_t v = 0; v < V; ++v) {
        const Vec logit = Float32::load_lanes(logits + t * kPanel + v * kLanes);
        const Vec weight = weight_of(logit, largest[v]);
        Float32::store_lanes(weight, weights + t * rows_ + v * kLanes);
        total[v] += weight;
      }
    }
    for (int64_t v = 0; v < V; ++v) {
      Float32::store_lanes(largest[v], largest_of + v * kLanes);
      Float32::store_lanes(total[v], total_of + v * kLanes);
    }
  }

  // Tokens do not see later ones. Logits [n, kPanel] of the rows from r0 on.
  void mask(const Block& block, int64_t first, int64_t n, int64_t r0, int64_t width,
            float* logits) const {
    for (int64_t t = std::max<int64_t>(0, block.position - first); t < n; ++t) {
      const int64_t n_before = first + t - block.position;  // queries of earlier tokens
      for (int64_t r = 0; r < width; ++r) {
        if ((r0 + r) % rows_of_head(block.n) < n_before) {
          logits[t * kPanel + r] = -std::numeric_limits<float>::infinity();
        }
      }
    }
  }

  // Sums of weights become what weights of a segment count in the result; those of no query
  // nothing.
  void share_out(int64_t n_queries) {
    const float factor =
        op_.group == Group::kMean ? op_.factor / static_cast<float>(group_) : op_.factor;
    std::vector<float> factors(rows_);
    for (int64_t g = 0; g < group_ / n_merged(); ++g) {
      std::fill_n(factors.begin() + g * rows_of_head(n_queries), n_queries, factor);
    }
    for (int64_t r = 0; r < rows_; r += kLanes) {
      const auto largest_of = [&](int64_t s) {
        return Float32::load_lanes(largest_.data() + s * rows_ + r);
      };
      Vec largest = largest_of(0), total = {};
      for (int64_t s = 1; s < n_segments_; ++s) {
        largest = largest_of(s) > largest ? largest_of(s) : largest;
      }
      for (int64_t s = 0; s < n_segments_; ++s) {
        total +=
            Float32::load_lanes(shares_.data() + s * rows_ + r) * weight_of(largest_of(s), largest);
      }
      const Vec share = Float32::load_lanes(factors.data() + r) / total;
      for (int64_t s = 0; s < n_segments_; ++s) {
        Float32::store_lanes(share * weight_of(largest_of(s), largest),
                             shares_.data() + s * rows_ + r);
      }
    }
  }

  void sum_up(const Block& block, int64_t segment, const float* weights) const {
    const int64_t first = segment * kSegment;
    const int64_t n = std::min({kSegment, block.n_seen - first, op_.n_columns - first});
    const int64_t n_sums = op_.group == Group::kNone ? group_ : 1;
    const int64_t width = op_.group == Group::kMean ? group_ * block.n : block.n;
    const float* shares = shares_.data() + segment * rows_;
    for (int64_t g = 0; g < n_sums; ++g) {
      float* sums = op_.out + (block.head * n_sums + g) * op_.n_columns + first;
      const int64_t begin = g * width;
      if (op_.group == Group::kMax) {
        add_rows<false, true>(weights, shares, begin, width, n, sums);
      } else if (begin % kLanes == 0 && width % kLanes == 0) {
        add_rows<true, false>(weights, shares, begin, width, n, sums);
      } else {
        add_rows<false, false>(weights, shares, begin, width, n, sums);
      }
    }
  }

  // sums[t] += sum_r weights[t][r] * shares[r] over the rows from `begin` on, which kWhole vectors
  // hold or vectors that have other heads' rows at either end; kLargest: the largest of the
  // group's.
  template <bool kWhole, bool kLargest>
  void add_rows(const float* weights, const float* shares, int64_t begin, int64_t width, int64_t n,
                float* sums) const {
    const int64_t of_head = rows_of_head(width);
    Bits32 lane;
    for (int64_t i = 0; i < kLanes; ++i) lane[i] = static_cast<uint32_t>(i);
    for (int64_t t = 0; t < n; t += kLanes) {
      const int64_t n_keys = std::min(kLanes, n - t);
      Vec of_keys[kLanes] = {};
      for (int64_t r = begin / kLanes * kLanes; r < begin + width; r += kLanes) {
        const Vec share = Float32::load_lanes(shares + r);
        const Bits32 row = lane + static_cast<uint32_t>(r - begin);
#pragma GCC unroll 16
        for (int64_t i = 0; i < kLanes; ++i) {
          // Keys behind the last one repeat it; their sums are not stored.
          const int64_t key = t + std::min(i, n_keys - 1);
          // The next keys' weights, from a farther cache.
          __builtin_prefetch(weights + (t + kLanes + i) * rows_ + r);
          Vec part = Float32::load_lanes(weights + key * rows_ + r) * share;
          for (int64_t other = r + of_head; kLargest && other < rows_; other += of_head) {
            part = larger(part, Float32::load_lanes(weights + key * rows_ + other) *
                                    Float32::load_lanes(shares + other));
          }
          if constexpr (kWhole) {
            of_keys[i] += part;
          } else {
            of_keys[i] += row < static_cast<uint32_t>(width) ? part : Vec{};
          }
        }
      }
      const Vec total = load_first<Float32>(sums + t, n_keys) + sums_of(of_keys);
      store_first<Float32>(total, sums + t, n_keys);
    }
  }

  const AttentionColumnSums& op_;
  int64_t group_, query_rows_, rows_, n_segments_, n_kept_;
  Lines<Element> queries_;
  Lines<float> kept_, largest_, shares_;
};

}  // namespace

void attention_column_sums_cpu(const AttentionColumnSums& op) {
  with_element(op.dtype, [&](auto element) {
    using E = decltype(element);
    with_product<E>(op.head_dim, [&](auto product) { ColumnSums<E, decltype(product)>(op).run(); });
  });
}

}  // namespace kvbench
