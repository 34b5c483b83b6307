// Flash attention over ragged heads on the CPU: the rows of a KV head are walked in tiles with an
// online softmax, all query rows of its GQA group together, so a key is read once per tile and
// query group. Long heads are cut into splits of a fixed number of rows, so that two threads share
// one long head and the result is the same for any number of threads.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/element.h"
#include "kernels/ragged_attention.h"

namespace kvbench {
namespace {

constexpr int64_t kTile = 64;     // keys per online-softmax step
constexpr int64_t kSplit = 1024;  // keys per unit of parallel work; a multiple of kTile
constexpr int64_t kRows = 4;      // query rows per register block
constexpr int64_t kDotRows = 8;   // up to here dot products beat transposing the key tile
constexpr int64_t kMaxHeadDim = 256;
constexpr float kNegInf = -std::numeric_limits<float>::infinity();

// One unit of work: query rows of one (sequence, KV head) against one split of its keys.
struct Unit {
  int64_t sequence, kv_head, first_key, end_key, partial;
};

// Running softmax of R query rows: maximum, sum of weights, weighted sum of values.
struct Partial {
  std::vector<float> largest, total, sum;  // [R], [R], [R, d]
};

float horizontal_sum(Vec16 v) {
  float sum = 0;
  for (int64_t i = 0; i < kLanes; ++i) sum += v[i];
  return sum;
}

// exp(x) for x <= 0, relative error below 3e-7: exp2 by splitting off the integer part and a
// degree-6 polynomial (Cephes expf coefficients). libm's expf is not vectorised here.
Vec16 exp_nonpositive(Vec16 x) {
  const Vec16 lowest = Vec16{} - 87.0F;
  x = x < lowest ? lowest : x;
  const Vec16 scaled = x * 1.44269504088896341F;
  using Ints = int32_t __attribute__((vector_size(64)));
  // Truncation of (scaled - 0.5) rounds to the nearest integer for non-positive arguments.
  const Ints n = __builtin_convertvector(scaled - 0.5F, Ints);
  const Vec16 whole = __builtin_convertvector(n, Vec16);
  const Vec16 r = (x - whole * 0.693359375F) + whole * 2.12194440e-4F;
  Vec16 p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const Ints exponent = (n + 127) << 23;
  Vec16 power;
  std::memcpy(&power, &exponent, sizeof power);
  return p * power;
}

// scores[r][j] = query_r . key_j for few rows: keys stay as they lie in memory.
template <class E>
void scores_by_dot(const float* queries, int64_t rows, const typename E::Storage* keys,
                   int64_t count, int64_t d, float* scores) {
  for (int64_t j = 0; j < count; ++j) {
    for (int64_t r0 = 0; r0 < rows; r0 += kRows) {
      const int64_t n = std::min(kRows, rows - r0);
      Vec16 acc[kRows] = {};
      for (int64_t c = 0; c < d; c += kLanes) {
        const Vec16 key = E::load16(keys + j * d + c);
        for (int64_t r = 0; r < n; ++r) {
          acc[r] += key * Float32::load16(queries + (r0 + r) * d + c);
        }
      }
      for (int64_t r = 0; r < n; ++r) scores[(r0 + r) * kTile + j] = horizontal_sum(acc[r]);
    }
  }
}

// The same for many rows, over the transposed tile [d, kTile] in float.
void scores_by_tile(const float* queries, int64_t rows, const float* keys_t, int64_t d,
                    float* scores) {
  constexpr int64_t kVecs = kTile / kLanes;
  for (int64_t r0 = 0; r0 < rows; r0 += kRows) {
    Vec16 acc[kRows][kVecs] = {};
    // Rows past the end repeat the last one; their result is not stored.
    const float* query[kRows];
    for (int64_t r = 0; r < kRows; ++r) query[r] = queries + std::min(r0 + r, rows - 1) * d;
    for (int64_t c = 0; c < d; ++c) {
      for (int64_t v = 0; v < kVecs; ++v) {
        const Vec16 key = Float32::load16(keys_t + c * kTile + v * kLanes);
        for (int64_t r = 0; r < kRows; ++r) acc[r][v] += key * query[r][c];
      }
    }
    for (int64_t r = 0; r < std::min(kRows, rows - r0); ++r) {
      std::memcpy(scores + (r0 + r) * kTile, acc[r], sizeof acc[r]);
    }
  }
}

// sum[r] += sum_j weight[r][j] value_j, values of one tile in float [count, d].
void add_values(const float* weights, int64_t rows, const float* values, int64_t count, int64_t d,
                float* sum) {
  constexpr int64_t kBlock = 4;  // vectors of a value row held in registers
  for (int64_t r0 = 0; r0 < rows; r0 += kRows) {
    const int64_t n = std::min(kRows, rows - r0);
    for (int64_t c0 = 0; c0 < d; c0 += kBlock * kLanes) {
      const int64_t vecs = std::min(kBlock, (d - c0) / kLanes);
      Vec16 acc[kRows][kBlock] = {};
      for (int64_t j = 0; j < count; ++j) {
        for (int64_t v = 0; v < vecs; ++v) {
          const Vec16 value = Float32::load16(values + j * d + c0 + v * kLanes);
          for (int64_t r = 0; r < n; ++r) acc[r][v] += value * weights[(r0 + r) * kTile + j];
        }
      }
      for (int64_t r = 0; r < n; ++r) {
        for (int64_t v = 0; v < vecs; ++v) {
          float* target = sum + (r0 + r) * d + c0 + v * kLanes;
          const Vec16 total = Float32::load16(target) + acc[r][v];
          std::memcpy(target, &total, sizeof total);
        }
      }
    }
  }
}

template <class E>
class UnitWorker {
  using Storage = typename E::Storage;

 public:
  explicit UnitWorker(const RaggedAttention& op)
      : op_(op),
        d_(op.shape.head_dim),
        group_(op.shape.n_heads / op.shape.n_kv_heads),
        rows_(group_ * op.shape.n_tokens),
        queries_(rows_ * d_),
        scores_(rows_ * kTile),
        keys_t_(kTile * d_),
        values_(kTile * d_) {}

  void run(const Unit& unit, Partial& partial) {
    const auto& [S, m, Hq, H, d] = op_.shape;
    load_queries(unit);
    partial.largest.assign(rows_, kNegInf);
    partial.total.assign(rows_, 0);
    partial.sum.assign(rows_ * d_, 0);
    const int64_t head = unit.sequence * H + unit.kv_head;
    const auto* keys = static_cast<const Storage*>(op_.keys[unit.sequence]) + op_.starts[head] * d;
    const auto* values =
        static_cast<const Storage*>(op_.values[unit.sequence]) + op_.starts[head] * d;
    const int64_t first_seen = op_.lengths[head] - m + 1;  // rows that token 0 may see
    for (int64_t j0 = unit.first_key; j0 < unit.end_key; j0 += kTile) {
      const int64_t count = std::min(kTile, unit.end_key - j0);
      score_tile(keys + j0 * d, count);
      softmax_tile(j0, count, first_seen, partial);
      for (int64_t x = 0; x < count * d; x += kLanes) {
        const Vec16 value = E::load16(values + j0 * d + x);
        std::memcpy(values_.data() + x, &value, sizeof value);
      }
      add_values(scores_.data(), rows_, values_.data(), count, d, partial.sum.data());
    }
  }

 private:
  // Query rows of the group, scaled, in float: row g * m + i.
  void load_queries(const Unit& unit) {
    const auto& [S, m, Hq, H, d] = op_.shape;
    for (int64_t g = 0; g < group_; ++g) {
      for (int64_t i = 0; i < m; ++i) {
        const auto* query = static_cast<const Storage*>(op_.query) +
                            ((unit.sequence * m + i) * Hq + unit.kv_head * group_ + g) * d;
        for (int64_t c = 0; c < d; ++c) {
          queries_[(g * m + i) * d + c] = E::load(query + c) * op_.scale;
        }
      }
    }
  }

  void score_tile(const Storage* keys, int64_t count) {
    if (rows_ <= kDotRows) {
      scores_by_dot<E>(queries_.data(), rows_, keys, count, d_, scores_.data());
      return;
    }
    for (int64_t j = 0; j < count; ++j) {
      for (int64_t c = 0; c < d_; ++c) {
        keys_t_[c * kTile + j] = E::load(keys + j * d_ + c);
      }
    }
    scores_by_tile(queries_.data(), rows_, keys_t_.data(), d_, scores_.data());
  }

  // Scores of a tile become weights; earlier sums are rescaled to the new maximum.
  void softmax_tile(int64_t j0, int64_t count, int64_t first_seen, Partial& partial) {
    const int64_t m = op_.shape.n_tokens;
    for (int64_t row = 0; row < rows_; ++row) {
      float* scores = scores_.data() + row * kTile;
      const int64_t seen = std::clamp<int64_t>(first_seen + row % m - j0, 0, count);
      std::fill(scores + seen, scores + kTile, kNegInf);
      if (seen == 0) {
        std::fill(scores, scores + kTile, 0.0F);
        continue;
      }
      float& largest = partial.largest[row];
      const float before = largest;
      for (int64_t j = 0; j < seen; ++j) largest = std::max(largest, scores[j]);
      if (largest != before && before != kNegInf) {
        const float shrink = std::exp(before - largest);
        partial.total[row] *= shrink;
        float* sum = partial.sum.data() + row * d_;
        for (int64_t c = 0; c < d_; ++c) sum[c] *= shrink;
      }
      Vec16 total = {};
      for (int64_t j = 0; j < kTile; j += kLanes) {
        const Vec16 x = Float32::load16(scores + j) - largest;
        // A masked column is -inf here and must weigh exactly nothing.
        const Vec16 weight = x < -1e30F ? Vec16{} : exp_nonpositive(x);
        std::memcpy(scores + j, &weight, sizeof weight);
        total += weight;
      }
      partial.total[row] += horizontal_sum(total);
    }
  }

  const RaggedAttention& op_;
  int64_t d_, group_, rows_;
  std::vector<float> queries_, scores_, keys_t_, values_;
};

// Merges the splits of one (sequence, KV head), in order, and writes its output rows.
template <class E>
void combine(const RaggedAttention& op, const Unit& first, const Partial* partials,
             int64_t n_splits) {
  const auto& [S, m, Hq, H, d] = op.shape;
  const int64_t group = Hq / H;
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
        sum[c] += share * partials[p].sum[row * d + c];
      }
    }
    auto* out = static_cast<typename E::Storage*>(op.out) +
                ((first.sequence * m + row % m) * Hq + first.kv_head * group + row / m) * d;
    for (int64_t c = 0; c < d; ++c) out[c] = E::from(sum[c] / total);
  }
}

template <class E>
void attention(const RaggedAttention& op) {
  const auto& [S, m, Hq, H, d] = op.shape;
  std::vector<Unit> units;
  std::vector<int64_t> first_unit;  // of each (sequence, KV head), and one past the end
  for (int64_t s = 0; s < S; ++s) {
    for (int64_t h = 0; h < H; ++h) {
      first_unit.push_back(static_cast<int64_t>(units.size()));
      const int64_t length = op.lengths[s * H + h];
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

void ragged_attention_cpu(const RaggedAttention& op) {
  if (op.shape.head_dim % kLanes != 0 || op.shape.head_dim > kMaxHeadDim) {
    // Unusual head sizes (tiny test models) are not worth a fast path.
    ragged_attention_reference(op);
    return;
  }
  with_element(op.dtype, [&](auto element) { attention<decltype(element)>(op); });
}

}  // namespace kvbench
