// Flash attention over the ragged cache on the CPU: the rows of a KV head are walked in tiles with
// an online softmax, all query rows of its GQA group together, so that each key is read once. Long
// heads are cut into splits of a fixed number of rows, so that two threads share one long head and
// the result is the same for any number of threads.
#include <cmath>
#include <memory>
#include <vector>

#include "kernels/cache_attention/few_rows_cpu.h"
#include "kernels/cache_attention/many_rows_cpu.h"
#include "kernels/common/team.h"

namespace kvbench {
namespace {

constexpr int64_t kSplit = 1024;      // keys per unit of parallel work
constexpr int64_t kMostFewRows = 16;  // that need not be rounded to have products of pairs

// Merges the splits of one (sequence, KV head), in order, and writes its output rows.
template <class E>
void combine(const CacheAttention& op, const Unit& unit, const Partial* partials,
             int64_t n_splits) {
  const QueryRows rows(op);
  const int64_t d = op.cache.head_dim;
  std::vector<float> sum(d);
  for (int64_t r = 0; r < rows.size; ++r) {
    float largest = Partial::kLowest, total = 0;
    for (int64_t p = 0; p < n_splits; ++p) largest = std::max(largest, partials[p].largest[r]);
    std::fill(sum.begin(), sum.end(), 0.0F);
    for (int64_t p = 0; p < n_splits; ++p) {
      const float share = std::exp((partials[p].largest[r] - largest) * op.scale);
      total += share * partials[p].total[r];
      for (int64_t c = 0; c < d; ++c) sum[c] += share * partials[p].sum[r * d + c];
    }
    auto* out = static_cast<typename E::Storage*>(op.out) + rows.place(unit, r) * d;
    for (int64_t c = 0; c < d; ++c) out[c] = E::from(sum[c] / total);
  }
}

// The work of a call, by the lengths that the heads have then.
struct Units {
  std::vector<Unit> units;
  std::vector<int64_t> first;     // of each (sequence, KV head), and one past the end
  std::vector<Partial> partials;  // of each unit, in `room`
  std::unique_ptr<float[]> room;
  int64_t n_room = 0;

  void split(const CacheAttention& op) {
    units.clear();
    first.clear();
    partials.clear();
    for (int64_t x = 0; x < op.cache.n_sequences * op.cache.n_kv_heads; ++x) {
      first.push_back(std::ssize(units));
      const int64_t length = op.cache.lengths[x];
      for (int64_t j = 0; j < length; j += kSplit) {
        units.push_back(
            {x / op.cache.n_kv_heads, x % op.cache.n_kv_heads, j, std::min(j + kSplit, length)});
      }
    }
    first.push_back(std::ssize(units));
    const int64_t n_rows = QueryRows(op).size, of_unit = n_rows * (2 + op.cache.head_dim);
    if (n_room < of_unit * std::ssize(units)) {
      n_room = of_unit * std::ssize(units);
      room = std::make_unique_for_overwrite<float[]>(n_room);
    }
    for (int64_t u = 0; u < std::ssize(units); ++u) {
      float* of = room.get() + u * of_unit;
      partials.push_back({of, of + n_rows, of + 2 * n_rows});
    }
  }
};

template <class E, class Worker>
void attention(const CacheAttention& op, Units& of_call) {
#pragma omp single
  of_call.split(op);
  const auto& units = of_call.units;
  const auto& first = of_call.first;
  const auto& partials = of_call.partials;
  const int64_t n_heads = std::ssize(first) - 1;
  const bool split = std::ssize(units) > n_heads;
  Worker worker(op);
#pragma omp for schedule(dynamic)
  for (int64_t u = 0; u < std::ssize(units); ++u) {
    worker.run(units[u], partials[u]);
    if (!split) combine<E>(op, units[u], &partials[u], 1);
  }
  if (split) {  // else threads need not wait for each other once more
#pragma omp for
    for (int64_t x = 0; x < n_heads; ++x) {
      const int64_t u = first[x];
      combine<E>(op, units[u], &partials[u], first[x + 1] - u);
    }
  }
}

template <class E, class Worker>
void share(const CacheAttention& op) {
  const auto units = std::make_shared<Units>();
  on_team(/*is_large=*/true, [op, units] { attention<E, Worker>(op, *units); });
}

template <class E>
void attention_of(const CacheAttention& op) {
  if (QueryRows(op).size <= kMostFewRows) {
    if (op.cache.head_dim % FloatRows<E>::kStep == 0) return share<E, FewRows<E, true>>(op);
    return share<E, FewRows<E, false>>(op);
  }
  with_product<E>(op.cache.head_dim,
                  [&](auto product) { share<E, ManyRows<E, decltype(product)>>(op); });
}

}  // namespace

void cache_attention_cpu(const CacheAttention& op) {
  with_element(op.cache.dtype, [&](auto element) { attention_of<decltype(element)>(op); });
}

}  // namespace kvbench
