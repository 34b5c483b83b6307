// A task is a block of one head's queries. Its weights for the keys stay until their sum is known;
// those for sinks and own tokens count in the sum only.
#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/common/element.h"
#include "kernels/common/lines.h"
#include "kernels/common/operands.h"
#include "kernels/common/vector_math.h"
#include "kernels/peak_attention/peak_attention.h"

namespace kvbench {
namespace {

constexpr int64_t kBlock = kBlockVecs * kLanes;  // queries, a lane each
constexpr int64_t kSegment = 64;                 // keys

template <class E, class Product>
class Peaks {
  using Element = typename Product::Element;

 public:
  explicit Peaks(const PeakAttention& op) : op_(op), depth_(op.head_dim / Product::kSize) {}

  void run() {
    const int64_t n_blocks = (op_.n_queries + kBlock - 1) / kBlock;
    std::fill_n(op_.out, op_.n_kv_heads * op_.n_keys, 0.0F);
#pragma omp parallel
    {
      Worker worker{Lines<Element>(depth_ * kBlock),
                    Lines<float>(kConverts<E, Product> ? kSegment * op_.head_dim : 0),
                    Lines<float>(kSegment * kBlock),
                    Lines<float>(op_.n_keys * kBlock),
                    Lines<float>((op_.n_keys + kSegment - 1) / kSegment * kBlock),
                    std::vector<float>(op_.n_kv_heads * op_.n_keys)};
#pragma omp for schedule(dynamic)
      for (int64_t task = op_.n_heads * n_blocks - 1; task >= 0; --task) {  // the longest first
        add(task % op_.n_heads, task / op_.n_heads * kBlock, worker);
      }
#pragma omp critical(peak_attention)
      for (size_t j = 0; j < worker.peaks.size(); ++j) {
        op_.out[j] = larger(op_.out[j], worker.peaks[j]);
      }
    }
  }

 private:
  struct Worker {
    Lines<Element> queries;    // [elements of d, kBlock]
    Lines<float> converted;    // keys [kSegment, d] where they are
    Lines<float> logits;       // [kSegment, kBlock]
    Lines<float> weights;      // [m, kBlock]
    Lines<float> relative_to;  // [segments of keys, kBlock]
    std::vector<float> peaks;  // [H, m]
    Vec largest[kBlockVecs] = {}, total[kBlockVecs] = {};
  };

  void add(int64_t head, int64_t first, Worker& worker) const {
    const int64_t kv_head = head / (op_.n_heads / op_.n_kv_heads);
    const int64_t n = std::min(kBlock, op_.n_queries - first);
    for (int64_t v = 0; v < kBlockVecs; ++v) {
      // Not infinite, which the difference of a masked logit with it would not bear.
      worker.largest[v] = Vec{} - std::numeric_limits<float>::max();
      worker.total[v] = Vec{};
    }
    load_queries(op_.to_own, head, first, n, worker);
    for (int64_t t = 0; t < first + n; t += kSegment) {
      const int64_t count = std::min(kSegment, first + n - t);
      multiply_keys(op_.own, kv_head, t, count, worker.logits.data(), worker);
      hide_later(first, t, count, worker.logits.data());
      weigh(worker.logits.data(), count, worker);
    }
    load_queries(op_.to_others, head, first, n, worker);
    for (int64_t t = 0; t < op_.n_sinks; t += kSegment) {
      const int64_t count = std::min(kSegment, op_.n_sinks - t);
      multiply_keys(op_.sinks, kv_head, t, count, worker.logits.data(), worker);
      weigh(worker.logits.data(), count, worker);
    }
    for (int64_t t = 0; t < op_.n_keys; t += kSegment) {
      const int64_t count = std::min(kSegment, op_.n_keys - t);
      float* weights = worker.weights.data() + t * kBlock;
      multiply_keys(op_.keys, kv_head, t, count, weights, worker);
      weigh(weights, count, worker);
      std::memcpy(worker.relative_to.data() + t / kSegment * kBlock, worker.largest,
                  sizeof worker.largest);
    }
    raise(head, kv_head, first, n, worker);
  }

  // Those of other lanes are zeros.
  void load_queries(const HeadRows& rows, int64_t head, int64_t first, int64_t n,
                    Worker& worker) const {
    std::fill_n(worker.queries.data(), depth_ * kBlock, Element{});
    load_columns<E, Product>(rows, head, first, n, op_.head_dim, worker.queries.data(), kBlock);
  }

  // Logits [count, kBlock], not scaled yet.
  void multiply_keys(const HeadRows& keys, int64_t kv_head, int64_t first, int64_t count,
                     float* logits, Worker& worker) const {
    const auto rows =
        load_rows<E, Product>(keys, kv_head, first, count, op_.head_dim, worker.converted.data());
    multiply<false, Product>(rows.data, rows.stride, count, {worker.queries.data(), kBlock}, depth_,
                             kBlock, logits, kBlock);
  }

  // Queries from `first` on do not see own tokens, `count` from t0 on, behind them.
  static void hide_later(int64_t first, int64_t t0, int64_t count, float* logits) {
    for (int64_t t = std::max<int64_t>(0, first - t0); t < count; ++t) {
      std::fill_n(logits + t * kBlock, std::min(t0 + t - first, kBlock),
                  -std::numeric_limits<float>::infinity());
    }
  }

  Vec weight_of(Vec logit, Vec largest) const { return softmax_weight(logit, largest, op_.scale); }

  // Logits [count, kBlock] become weights.
  void weigh(float* logits, int64_t count, Worker& worker) const {
    Vec largest[kBlockVecs] = {}, total[kBlockVecs] = {};
    std::copy_n(worker.largest, kBlockVecs, largest);
    for (int64_t t = 0; t < count; ++t) {
      for (int64_t v = 0; v < kBlockVecs; ++v) {
        const Vec logit = Float32::load_lanes(logits + t * kBlock + v * kLanes);
        largest[v] = logit > largest[v] ? logit : largest[v];
      }
    }
    for (int64_t v = 0; v < kBlockVecs; ++v) {
      total[v] = worker.total[v] * weight_of(worker.largest[v], largest[v]);
    }
    for (int64_t t = 0; t < count; ++t) {
      for (int64_t v = 0; v < kBlockVecs; ++v) {
        float* logit = logits + t * kBlock + v * kLanes;
        const Vec weight = weight_of(Float32::load_lanes(logit), largest[v]);
        Float32::store_lanes(weight, logit);
        total[v] += weight;
      }
    }
    std::copy_n(largest, kBlockVecs, worker.largest);
    std::copy_n(total, kBlockVecs, worker.total);
  }

  // The peaks of the KV head to what this block's queries, n from `first` on, say of its keys.
  void raise(int64_t head, int64_t kv_head, int64_t first, int64_t n, Worker& worker) const {
    float of_queries[kBlock] = {};  // nothing of lanes without one
    for (int64_t i = 0; i < n; ++i) {
      of_queries[i] = op_.query_weights != nullptr ? op_.query_weights[first + i] : 1;
    }
    const float* key_weights =
        op_.key_weights != nullptr ? op_.key_weights + head * op_.n_keys : nullptr;
    float* peaks = worker.peaks.data() + kv_head * op_.n_keys;
    for (int64_t t0 = 0; t0 < op_.n_keys; t0 += kSegment) {
      Vec shares[kBlockVecs];
      for (int64_t v = 0; v < kBlockVecs; ++v) {
        const Vec then =
            Float32::load_lanes(worker.relative_to.data() + t0 / kSegment * kBlock + v * kLanes);
        shares[v] = Float32::load_lanes(of_queries + v * kLanes) *
                    weight_of(then, worker.largest[v]) / worker.total[v];
      }
      for (int64_t t = t0; t < std::min(t0 + kSegment, op_.n_keys); ++t) {
        const float* weights = worker.weights.data() + t * kBlock;
        Vec peak = {};
        for (int64_t v = 0; v < kBlockVecs; ++v) {
          peak = larger(peak, Float32::load_lanes(weights + v * kLanes) * shares[v]);
        }
        const float weight = largest_of(peak) * (key_weights != nullptr ? key_weights[t] : 1);
        peaks[t] = larger(peaks[t], weight);
      }
    }
  }

  // Of all lanes, a NaN where one is.
  static float largest_of(Vec v) {
    const auto is_nan = v != v;
    const float nans = horizontal_max(is_nan ? Vec{} + 1 : Vec{});
    return nans > 0 ? std::numeric_limits<float>::quiet_NaN() : horizontal_max(v);
  }

  const PeakAttention& op_;
  int64_t depth_;  // elements of a row
};

}  // namespace

void peak_attention_cpu(const PeakAttention& op) {
  with_element(op.dtype, [&](auto element) {
    using E = decltype(element);
    with_product<E>(op.head_dim, [&](auto product) { Peaks<E, decltype(product)>(op).run(); });
  });
}

}  // namespace kvbench
