// Products of many rows with a block of tokens, for CPU kernels: the lanes of a vector are tokens,
// so what is made of the products token by token needs no sums across lanes.
#pragma once

#include <type_traits>
#include <vector>

#include "kernels/common/rows_cpu.h"

namespace kvbench {

using DoubleVec = double __attribute__((vector_size(sizeof(Vec))));

template <class Real>  // float or double: what the tokens are held in
class TokenLanes {
 public:
  using Lanes = std::conditional_t<std::is_same_v<Real, float>, Vec, DoubleVec>;
  static constexpr int64_t kWidth = sizeof(Vec) / sizeof(Real);
  static constexpr int64_t kVectors = 2;  // of tokens, with which a row is multiplied
  static constexpr int64_t kTile = kVectors * kWidth;
  static constexpr int64_t kRows = kLanes / 2;  // multiplied at a time: registers hold the sums
  static constexpr int64_t kTiles = 4;
  static constexpr int64_t kTokens = kTiles * kTile;  // of a block

  explicit TokenLanes(int64_t head_dim)
      : d_(head_dim), tokens_(kTokens * head_dim), rows_(kRows * head_dim) {}

  // Takes up to kTokens rows of head h from `first` on; the missing ones are zeros.
  template <class E>
  void load_tokens(const HeadRows& rows, int64_t h, int64_t first, int64_t end) {
    std::fill(tokens_.begin(), tokens_.end(), Real{0});
    for (int64_t t = 0; t < std::min(kTokens, end - first); ++t) {
      const auto* row = row_of<E>(rows, h, first + t);
      Real* column = tokens_.data() + t / kTile * kTile * d_ + t % kTile;
      for (int64_t c = 0; c < d_; ++c) column[c * kTile] = E::load(row + c);
    }
  }

  // Calls f(tile, n, products of row n with the tile's tokens [kVectors]) for the rows 0 ... n_rows
  // - 1, which load(n, to) writes to `to` [d]. Sums run along d in order.
  template <class Load, class F>
  void multiply(int64_t n_rows, Load load, F f) {
    for (int64_t first = 0; first < n_rows; first += kRows) {
      const int64_t n = std::min(kRows, n_rows - first);
      for (int64_t r = 0; r < n; ++r) load(first + r, rows_.data() + r * d_);
      for (int64_t tile = 0; tile < kTiles; ++tile) {
        Lanes sums[kRows][kVectors] = {};
        const Real* column = tokens_.data() + tile * kTile * d_;
        for (int64_t c = 0; c < d_; ++c, column += kTile) {
          const Lanes a = lanes(column), b = lanes(column + kWidth);
          for (int64_t r = 0; r < kRows; ++r) {
            sums[r][0] += a * rows_[r * d_ + c];
            sums[r][1] += b * rows_[r * d_ + c];
          }
        }
        for (int64_t r = 0; r < n; ++r) f(tile, first + r, sums[r]);
      }
    }
  }

  // Column c of a tile's tokens.
  const Real* column(int64_t tile, int64_t c) const {
    return tokens_.data() + (tile * d_ + c) * kTile;
  }

  static Lanes lanes(const Real* p) {
    Lanes v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }

 private:
  int64_t d_;
  std::vector<Real> tokens_;  // [kTiles, d, kTile]
  std::vector<Real> rows_;    // [kRows, d]
};

// Calls f(h, first token) for the blocks of every head, shared out over the threads, each with a
// worker of its own: make() makes it, f's first argument.
template <class Make, class F>
void for_token_blocks(int64_t n_heads, int64_t n_tokens, int64_t block, Make make, F f) {
  const int64_t n_blocks = (n_tokens + block - 1) / block;
#pragma omp parallel if (n_heads * n_blocks > 1)
  {
    auto worker = make();
#pragma omp for schedule(dynamic) collapse(2)
    for (int64_t h = 0; h < n_heads; ++h) {
      for (int64_t b = 0; b < n_blocks; ++b) f(worker, h, b * block);
    }
  }
}

}  // namespace kvbench
