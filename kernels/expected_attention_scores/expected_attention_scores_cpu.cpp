#include "kernels/common/softmax_cpu.h"
#include "kernels/common/token_lanes_cpu.h"
#include "kernels/expected_attention_scores/expected_attention_scores.h"
#include "kernels/row_norms/row_norms.h"

namespace kvbench {
namespace {

using Block = TokenLanes<float>;

// z of a block's tokens for query head q, to logits[0 ...).
void expected_logits(const ExpectedAttentionScores& op, Block& block, int64_t q, int64_t n_tokens,
                     float* logits) {
  const int64_t d = op.head_dim;
  const float* linear = op.linear + q * d;
  Vec totals[Block::kTiles][Block::kVectors] = {};
  if (op.quadratic == nullptr) {
    const auto load = [&](int64_t, float* to) { std::copy_n(linear, d, to); };
    block.multiply(1, load, [&](int64_t tile, int64_t, const Vec* y) {
      std::copy_n(y, Block::kVectors, totals[tile]);
    });
  } else {
    const float* quadratic = op.quadratic + q * d * d;
    const auto load = [&](int64_t n, float* to) { std::copy_n(quadratic + n * d, d, to); };
    block.multiply(d, load, [&](int64_t tile, int64_t n, const Vec* y) {
      for (int64_t v = 0; v < Block::kVectors; ++v) {
        totals[tile][v] +=
            (y[v] + linear[n]) * Block::lanes(block.column(tile, n) + v * Block::kWidth);
      }
    });
  }
  std::memcpy(logits, totals, n_tokens * sizeof(float));
}

template <class E>
void run(const ExpectedAttentionScores& op) {
  const int64_t d = op.head_dim, group = op.n_query_heads / op.n_heads, first = op.first();
  const int64_t n = op.n_rows - first, n_ranked = op.n_rows - op.n_sink, width = whole_vectors(n);
  std::vector<float> weights(op.n_query_heads * width, kNoLogit);
  const auto score = [&](Block& block, int64_t h, int64_t t) {
    block.load_tokens<E>(op.keys, h, first + t, op.n_rows);
    for (int64_t q = h * group; q < (h + 1) * group; ++q) {
      expected_logits(op, block, q, std::min(Block::kTokens, n - t), &weights[q * width + t]);
    }
  };
  for_token_blocks(
      op.n_heads, n, Block::kTokens, [&] { return Block(d); }, score);
#pragma omp parallel for schedule(dynamic)
  for (int64_t q = 0; q < op.n_query_heads; ++q) softmax_row(&weights[q * width], width);

  if (op.use_vnorm) {
    HeadRows values = op.values;
    values.data = row_of<E>(op.values, 0, op.n_sink);
    row_norms_cpu({op.n_heads, n_ranked, d, op.dtype, 2, values, op.out});
  }
#pragma omp parallel for schedule(static)
  for (int64_t h = 0; h < op.n_heads; ++h) {
    for (int64_t t = 0; t < n_ranked; ++t) {
      float mean = 0;
      for (int64_t q = h * group; q < (h + 1) * group; ++q) {
        mean += weights[q * width + op.n_sink - first + t];
      }
      mean /= static_cast<float>(group);
      float& out = op.out[h * n_ranked + t];
      out = op.use_vnorm ? (mean + op.eps) * out : mean;
    }
  }
}

}  // namespace

void expected_attention_scores_cpu(const ExpectedAttentionScores& op) {
  with_element(op.dtype, [&](auto element) { run<decltype(element)>(op); });
}

}  // namespace kvbench
