// Rows of a head as multiply() takes them: keys as rows, converted where a product does not take
// what is stored, and queries as columns.
#pragma once

#include <cstring>
#include <type_traits>

#include "kernels/common/multiply.h"
#include "kernels/common/rows_cpu.h"

namespace kvbench {

template <class E, class Product>
inline constexpr bool kConverts = !std::is_same_v<typename E::Storage, typename Product::Storage>;

// n rows of `head` from `first` on become columns [elements of a row, stride].
template <class E, class Product>
void load_columns(const HeadRows& rows, int64_t head, int64_t first, int64_t n, int64_t head_dim,
                  typename Product::Element* columns, int64_t stride) {
  for (int64_t i = 0; i < n; ++i) {
    const auto* row = row_of<E>(rows, head, first + i);
    for (int64_t c = 0; c < head_dim / Product::kSize; ++c) {
      typename Product::Element& element = columns[c * stride + i];
      if constexpr (kConverts<E, Product>) {
        element = E::load(row + c);
      } else {
        std::memcpy(&element, row + Product::kSize * c, sizeof element);
      }
    }
  }
}

template <class Product>
struct OperandRows {
  const typename Product::Storage* data;
  int64_t stride;
};

// n rows of `head` from `first` on: where they are, or as `converted` [n, head_dim].
template <class E, class Product>
OperandRows<Product> load_rows(const HeadRows& rows, int64_t head, int64_t first, int64_t n,
                               int64_t head_dim, float* converted) {
  const auto* row = row_of<E>(rows, head, first);
  if constexpr (kConverts<E, Product>) {
    for (int64_t t = 0; t < n; ++t, row += rows.row_stride) {
      for_vectors<E>(row, head_dim, [&](int64_t c, Vec x) {
        store_first<Float32>(x, converted + t * head_dim + c, head_dim - c);
      });
    }
    return {converted, head_dim};
  } else {
    return {row, rows.row_stride};
  }
}

}  // namespace kvbench
