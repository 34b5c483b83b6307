#include <cmath>

#include "kernels/common/token_lanes_cpu.h"
#include "kernels/projected_value_norms/projected_value_norms.h"

namespace kvbench {
namespace {

template <class E>
const typename E::Storage* weight_row(const ProjectedValueNorms& op, int64_t n, int64_t q) {
  return static_cast<const typename E::Storage*>(op.output_weight) +
         (n * op.n_query_heads + q) * op.head_dim;
}

template <class E>
void absolute_norms(const ProjectedValueNorms& op) {
  using Block = TokenLanes<float>;
  const int64_t d = op.head_dim, group = op.n_query_heads / op.n_heads;
  const auto run = [&](Block& block, int64_t h, int64_t first) {
    float means[Block::kTokens] = {};
    block.load_tokens<E>(op.values, h, first, op.n_rows);
    for (int64_t q = h * group; q < (h + 1) * group; ++q) {
      Vec totals[Block::kTiles][Block::kVectors] = {};
      const auto load = [&](int64_t n, float* to) {
        const auto* row = weight_row<E>(op, n, q);
        for (int64_t c = 0; c < d; ++c) to[c] = E::load(row + c);
      };
      block.multiply(op.hidden, load, [&](int64_t tile, int64_t, const Vec* y) {
        for (int64_t v = 0; v < Block::kVectors; ++v) {
          totals[tile][v] += y[v] < 0.0F ? -y[v] : y[v];
        }
      });
      float norms[Block::kTokens];
      std::memcpy(norms, totals, sizeof norms);
      for (int64_t t = 0; t < Block::kTokens; ++t) means[t] += norms[t] / static_cast<float>(group);
    }
    std::copy_n(means, std::min(Block::kTokens, op.n_rows - first), op.out + h * op.n_rows + first);
  };
  for_token_blocks(
      op.n_heads, op.n_rows, Block::kTokens, [&] { return Block(d); }, run);
}

// W^T W of one query head, [d, d].
template <class E>
std::vector<double> gram_matrix(const ProjectedValueNorms& op, int64_t q) {
  constexpr int64_t kRows = 8;  // that are added to a sum before it is stored
  const int64_t d = op.head_dim;
  std::vector<double> gram(d * d), rows(kRows * d);
  for (int64_t n = 0; n < op.hidden; n += kRows) {
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t c = 0; c < d; ++c) {
        rows[r * d + c] = n + r < op.hidden ? E::load(weight_row<E>(op, n + r, q) + c) : 0.0F;
      }
    }
    for (int64_t i = 0; i < d; ++i) {
      double* sums = gram.data() + i * d;
      for (int64_t j = 0; j <= i; ++j) {
        double sum = sums[j];
        for (int64_t r = 0; r < kRows; ++r) sum += rows[r * d + i] * rows[r * d + j];
        sums[j] = sum;
      }
    }
  }
  for (int64_t i = 0; i < d; ++i) {
    for (int64_t j = 0; j < i; ++j) gram[j * d + i] = gram[i * d + j];
  }
  return gram;
}

template <class E>
void euclidean_norms(const ProjectedValueNorms& op) {
  using Block = TokenLanes<double>;
  const int64_t d = op.head_dim, group = op.n_query_heads / op.n_heads;
  std::vector<std::vector<double>> grams(op.n_query_heads);
#pragma omp parallel for schedule(dynamic)
  for (int64_t q = 0; q < op.n_query_heads; ++q) grams[q] = gram_matrix<E>(op, q);
  const auto run = [&](Block& block, int64_t h, int64_t first) {
    block.load_tokens<E>(op.values, h, first, op.n_rows);
    for (int64_t q = h * group; q < (h + 1) * group; ++q) {
      Block::Lanes totals[Block::kTiles][Block::kVectors] = {};
      const auto load = [&](int64_t n, double* to) { std::copy_n(&grams[q][n * d], d, to); };
      block.multiply(d, load, [&](int64_t tile, int64_t n, const Block::Lanes* y) {
        for (int64_t v = 0; v < Block::kVectors; ++v) {
          totals[tile][v] += y[v] * Block::lanes(block.column(tile, n) + v * Block::kWidth);
        }
      });
      double squares[Block::kTokens];
      std::memcpy(squares, totals, sizeof squares);
      for (int64_t t = 0; t < std::min(Block::kTokens, op.n_rows - first); ++t) {
        op.out[q * op.n_rows + first + t] =
            static_cast<float>(std::sqrt(std::max(squares[t], 0.0)));
      }
    }
  };
  for_token_blocks(
      op.n_heads, op.n_rows, Block::kTokens, [&] { return Block(d); }, run);
}

}  // namespace

void projected_value_norms_cpu(const ProjectedValueNorms& op) {
  with_element(op.dtype, [&](auto element) {
    using E = decltype(element);
    op.p == 1 ? absolute_norms<E>(op) : euclidean_norms<E>(op);
  });
}

}  // namespace kvbench
