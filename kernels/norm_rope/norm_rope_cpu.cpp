// Built without contraction to fused multiply-adds (CMakeLists.txt): products round before sums.
#include <cmath>
#include <vector>

#include "kernels/common/rows_cpu.h"
#include "kernels/common/team.h"
#include "kernels/common/vector_math.h"
#include "kernels/norm_rope/norm_rope.h"

namespace kvbench {
namespace {

constexpr int64_t kElementsOfAThread = 1 << 13;  // below that threads cost more than they bring

template <class E, class W>
void norm(const typename E::Storage* x, const typename W::Storage* weight, int64_t d, float eps,
          typename E::Storage* out) {
  Vec squares = {};
  for_vectors<E>(x, d, [&](int64_t, Vec v) { squares += v * v; });
  const float scale = 1 / std::sqrt(horizontal_sum(squares) / static_cast<float>(d) + eps);
  for_vectors<E>(x, d, [&](int64_t c, Vec v) {
    const Vec product = W::round_lanes(v * scale) * load_first<W>(weight + c, d - c);
    store_first<E>(W::round_lanes(product), out + c, d - c);
  });
}

template <class E>
void rotate(const typename E::Storage* x, const float* cos, const float* sin, int64_t half,
            typename E::Storage* out) {
  for_vectors<E>(x, half, [&](int64_t c, Vec a) {
    const int64_t n = half - c;
    const Vec b = load_first<E>(x + half + c, n);
    const Vec u = load_first<Float32>(cos + c, n), v = load_first<Float32>(sin + c, n);
    store_first<E>(a * u - b * v, out + c, n);
    store_first<E>(b * u + a * v, out + half + c, n);
  });
}

template <class E, class W>
void run(const NormRope& op) {
  using Storage = typename E::Storage;
  const int64_t d = op.head_dim, n_heads = op.n_heads + op.n_kv_heads;
#pragma omp for schedule(static)
  for (int64_t r = 0; r < op.n_rows; ++r) {
    std::vector<Storage> room(d);
    for (int64_t head = 0; head < n_heads; ++head) {
      const auto* x = static_cast<const Storage*>(op.qkv) + r * op.row_stride + head * d;
      const bool is_query = head < op.n_heads;
      const int64_t row = is_query ? r * op.n_heads + head : r * op.n_kv_heads + head - op.n_heads;
      Storage* normed = room.data();
      if (is_query && op.normed_queries != nullptr) {
        normed = static_cast<Storage*>(op.normed_queries) + row * d;
      }
      const void* weight = is_query ? op.query_weight : op.key_weight;
      if (weight != nullptr) {
        norm<E, W>(x, static_cast<const typename W::Storage*>(weight), d, op.eps, normed);
        x = normed;
      } else if (normed != room.data()) {
        std::copy_n(x, d, normed);
      }
      rotate<E>(x, op.cos + r * d / 2, op.sin + r * d / 2, d / 2,
                static_cast<Storage*>(is_query ? op.queries : op.keys) + row * d);
    }
  }
}

}  // namespace

void norm_rope_cpu(const NormRope& op) {
  const int64_t n_elements = op.n_rows * (op.n_heads + op.n_kv_heads) * op.head_dim;
  with_element_and_weight(op.dtype, op.weight_dtype, [&](auto element, auto weight) {
    on_team(n_elements > kElementsOfAThread,
            [op, element, weight] { run<decltype(element), decltype(weight)>(op); });
  });
}

}  // namespace kvbench
