#include <cmath>
#include <vector>

#include "kernels/common/element.h"
#include "kernels/norm_rope/norm_rope.h"

namespace kvbench {

void norm_rope_reference(const NormRope& op) {
  with_element_and_weight(op.dtype, op.weight_dtype, [&](auto element, auto of_weight) {
    using E = decltype(element);
    using W = decltype(of_weight);
    using Storage = typename E::Storage;
    const int64_t d = op.head_dim, n_heads = op.n_heads + op.n_kv_heads;
    for (int64_t r = 0; r < op.n_rows; ++r) {
      for (int64_t head = 0; head < n_heads; ++head) {
        const auto* from = static_cast<const Storage*>(op.qkv) + r * op.row_stride + head * d;
        const bool is_query = head < op.n_heads;
        const int64_t row =
            is_query ? r * op.n_heads + head : r * op.n_kv_heads + head - op.n_heads;
        const auto* weight =
            static_cast<const typename W::Storage*>(is_query ? op.query_weight : op.key_weight);
        std::vector<float> x;
        for (int64_t c = 0; c < d; ++c) x.push_back(E::load(from + c));
        if (weight != nullptr) {
          double squares = 0;
          for (const float v : x) squares += double{v} * v;
          const double scale = 1 / std::sqrt(squares / static_cast<double>(d) + op.eps);
          for (int64_t c = 0; c < d; ++c) {
            const float normed = rounded<W>(static_cast<float>(x[c] * scale));
            x[c] = rounded<E>(rounded<W>(normed * W::load(weight + c)));
          }
        }
        auto* to = static_cast<Storage*>(is_query ? op.queries : op.keys) + row * d;
        for (int64_t i = 0, j = d / 2; j < d; ++i, ++j) {
          const float cos = op.cos[r * d / 2 + i], sin = op.sin[r * d / 2 + i];
          const float products[] = {x[i] * cos, x[j] * sin, x[j] * cos, x[i] * sin};
          to[i] = E::from(products[0] - products[1]);
          to[j] = E::from(products[2] + products[3]);
        }
        if (op.normed_queries == nullptr || !is_query) continue;
        for (int64_t c = 0; c < d; ++c) {
          static_cast<Storage*>(op.normed_queries)[row * d + c] = E::from(x[c]);
        }
      }
    }
  });
}

}  // namespace kvbench
