// Each KV head's keys are walked in segments that threads share. The weights of a segment, of all
// rows of the GQA group's window, are relative to the largest logit that each row has there: what
// the segments are worth beside each other is known when all have been seen. By then the weights of
// as many segments as kKeptBytes hold are still there; those of the others are computed once more.
#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/element.h"
#include "kernels/multiply.h"
#include "kernels/vector_math.h"
#include "kernels/window_scores.h"

namespace kvbench {
namespace {

constexpr int64_t kTile = 64;      // keys that are multiplied at a time
constexpr int64_t kSegment = 256;  // keys
constexpr int64_t kKeptBytes = 16 << 20;

int64_t padded(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// The larger one, or the NaN.
float larger(float x, float y) { return y > x || y != y ? y : x; }

template <class E>
class Votes {
  using Storage = typename E::Storage;

 public:
  // votes: [Hq, T - W]
  Votes(const WindowScores& op, float* votes)
      : op_(op),
        votes_(votes),
        group_(op.n_heads / op.n_kv_heads),
        lanes_(padded(op.window)),
        rows_(group_ * lanes_),
        n_segments_((op.n_tokens + kSegment - 1) / kSegment),
        n_kept_(std::min(n_segments_, kKeptBytes / (kSegment * rows_ * 4))),
        queries_(op.head_dim * rows_),
        kept_(n_kept_ * kSegment * rows_),
        largest_(n_segments_ * rows_),
        shares_(n_segments_ * rows_) {}

  void run() {
    for (int64_t head = 0; head < op_.n_kv_heads; ++head) {
      load_queries(head);
#pragma omp parallel
      {
        std::vector<float> keys(kTile * op_.head_dim), weights;
#pragma omp for schedule(dynamic)
        for (int64_t s = 0; s < n_segments_; ++s) weigh(head, s, keys, weights_of(s, weights));
#pragma omp single
        share_out();
#pragma omp for schedule(dynamic)
        for (int64_t s = 0; s < n_segments_; ++s) {
          float* of_segment = weights_of(s, weights);
          if (s >= n_kept_) weigh(head, s, keys, of_segment);
          vote(head, s, of_segment);
        }
      }
    }
  }

 private:
  // Scaled, [d, rows]: a head's W rows, then rows of zeros up to whole vectors.
  void load_queries(int64_t head) {
    for (int64_t g = 0; g < group_; ++g) {
      for (int64_t i = 0; i < op_.window; ++i) {
        const auto* query = static_cast<const Storage*>(op_.queries) +
                            ((head * group_ + g) * op_.window + i) * op_.head_dim;
        for (int64_t c = 0; c < op_.head_dim; ++c) {
          queries_[c * rows_ + g * lanes_ + i] = E::load(query + c) * op_.scale;
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
  void weigh(int64_t head, int64_t segment, std::vector<float>& keys, float* weights) {
    const int64_t first = segment * kSegment, n = std::min(kSegment, op_.n_tokens - first);
    const auto* rows = static_cast<const Storage*>(op_.keys.data) + head * op_.keys.head_stride +
                       first * op_.keys.row_stride;
    for (int64_t t = 0; t < n; t += kTile) {
      const int64_t count = std::min(kTile, n - t);
      load_keys(rows + t * op_.keys.row_stride, count, keys.data());
      multiply<false>(keys.data(), op_.head_dim, count, queries_.data(), rows_, op_.head_dim, rows_,
                      weights + t * rows_, rows_);
    }
    mask(first, n, weights);
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

  // Tokens of the window do not see later ones.
  void mask(int64_t first, int64_t n, float* logits) const {
    for (int64_t t = std::max<int64_t>(0, op_.n_ranked() - first); t < n; ++t) {
      const int64_t n_before = first + t - op_.n_ranked();  // rows of earlier tokens
      for (int64_t g = 0; g < group_; ++g) {
        float* of_head = logits + t * rows_ + g * lanes_;
        std::fill(of_head, of_head + n_before, -std::numeric_limits<float>::infinity());
      }
    }
  }

  // Sums of weights become factors that make weights of a segment votes; none of rows of zeros.
  void share_out() {
    std::vector<float> is_query(lanes_);
    std::fill_n(is_query.begin(), op_.window, 1.0F / static_cast<float>(op_.window));
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
      const Vec share = Float32::load_lanes(is_query.data() + r % lanes_) / total;
      for (int64_t s = 0; s < n_segments_; ++s) {
        Float32::store_lanes(share * exp_nonpositive(largest_of(s) - largest),
                             shares_.data() + s * rows_ + r);
      }
    }
  }

  void vote(int64_t head, int64_t segment, const float* weights) const {
    const int64_t first = segment * kSegment, n = std::min(kSegment, op_.n_ranked() - first);
    for (int64_t g = 0; g < group_; ++g) {
      const float* shares = shares_.data() + segment * rows_ + g * lanes_;
      float* votes = votes_ + (head * group_ + g) * op_.n_ranked() + first;
      for (int64_t t = 0; t < n; ++t) {
        const float* of_key = weights + t * rows_ + g * lanes_;
        Vec sum = {};
        for (int64_t i = 0; i < lanes_; i += kLanes) {
          sum += Float32::load_lanes(of_key + i) * Float32::load_lanes(shares + i);
        }
        votes[t] = horizontal_sum(sum);
      }
    }
  }

  const WindowScores& op_;
  float* votes_;
  int64_t group_, lanes_, rows_, n_segments_, n_kept_;
  std::vector<float> queries_, kept_, largest_, shares_;
};

// `in` [n] pooled into `out`.
void pool(const WindowScores& op, const float* in, float* out) {
  const int64_t n = op.n_ranked(), half = op.kernel / 2;
  std::copy(in, in + n, out);
  // Neighbours at one distance after the other: whole rows at a time.
  for (int64_t distance = 1; distance <= std::min(half, n - 1); ++distance) {
    for (int64_t t = 0; t < n - distance; ++t) {
      out[t] = op.pooling == WindowScores::Pooling::kMax ? larger(out[t], in[t + distance])
                                                         : out[t] + in[t + distance];
    }
    for (int64_t t = distance; t < n; ++t) {
      out[t] = op.pooling == WindowScores::Pooling::kMax ? larger(out[t], in[t - distance])
                                                         : out[t] + in[t - distance];
    }
  }
  if (op.pooling == WindowScores::Pooling::kMax) return;
  for (int64_t t = 0; t < n; ++t) out[t] /= static_cast<float>(op.kernel);
}

// Rows of a group, `in` [group, n], into one.
void reduce(const WindowScores& op, const float* in, float* out) {
  const int64_t n = op.n_ranked(), group = op.n_heads / op.n_kv_heads;
  std::copy(in, in + n, out);
  for (int64_t g = 1; g < group; ++g) {
    for (int64_t t = 0; t < n; ++t) {
      const float x = in[g * n + t];
      out[t] = op.reduce == WindowScores::Reduce::kMax ? larger(out[t], x) : out[t] + x;
    }
  }
  if (op.reduce != WindowScores::Reduce::kMean) return;
  for (int64_t t = 0; t < n; ++t) out[t] /= static_cast<float>(group);
}

}  // namespace

void window_scores_cpu(const WindowScores& op) {
  const int64_t n = op.n_ranked(), group = op.n_heads / op.n_kv_heads;
  std::vector<float> votes(op.n_heads * n);
  with_element(op.dtype, [&](auto element) { Votes<decltype(element)>(op, votes.data()).run(); });
  const bool reduces = op.reduce != WindowScores::Reduce::kNone;
#pragma omp parallel
  {
    std::vector<float> row(n);
    if (!reduces) {
#pragma omp for
      for (int64_t q = 0; q < op.n_heads; ++q) pool(op, votes.data() + q * n, op.out + q * n);
    } else if (op.order == WindowScores::Order::kGroupFirst) {
#pragma omp for
      for (int64_t h = 0; h < op.n_kv_heads; ++h) {
        reduce(op, votes.data() + h * group * n, row.data());
        pool(op, row.data(), op.out + h * n);
      }
    } else {
#pragma omp for
      for (int64_t q = 0; q < op.n_heads; ++q) {
        pool(op, votes.data() + q * n, row.data());
        std::copy(row.begin(), row.end(), votes.begin() + q * n);
      }
#pragma omp for
      for (int64_t h = 0; h < op.n_kv_heads; ++h) {
        reduce(op, votes.data() + h * group * n, op.out + h * n);
      }
    }
  }
}

}  // namespace kvbench
