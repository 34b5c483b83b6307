#include "kernels/common/mean_direction_cpu.h"
#include "kernels/common/softmax_cpu.h"
#include "kernels/common/token_lanes_cpu.h"
#include "kernels/key_similarity/key_similarity.h"

namespace kvbench {
namespace {

using Block = TokenLanes<float>;
using Ints = int32_t __attribute__((vector_size(sizeof(Vec))));

constexpr int64_t kColumns = 64;  // looked through at a time

float inverse(float norm) { return 1 / (norm + KeySimilarity::kNormShift); }

// Adds what the rows first ... of head h lose to lost [n_rows], in units. scales: the keys' inverse
// norms.
template <class E>
void add_lost(const KeySimilarity& op, Block& block, int64_t h, int64_t first, const float* scales,
              uint64_t* lost) {
  constexpr int64_t kVectors = Block::kTiles * Block::kVectors;
  const int64_t n_rows = std::min(Block::kTokens, op.n_rows - first);
  float of_rows[Block::kTokens] = {};  // rows that are not there are like none
  std::copy_n(scales + first, n_rows, of_rows);
  Ints lane;
  for (int64_t i = 0; i < kLanes; ++i) lane[i] = static_cast<int32_t>(i);
  Ints found[kVectors];  // the last alike column of each row
  Vec cosines[kVectors] = {};
  for (auto& v : found) v = Ints{} - 1;
  block.load_tokens<E>(op.keys, h, first, op.n_rows);
  for (int64_t end = op.n_rows; end > 0; end -= kColumns) {
    const int64_t begin = std::max<int64_t>(0, end - kColumns);
    Ints open[kVectors];
    for (int64_t v = 0; v < kVectors; ++v) open[v] = found[v] < 0;
    const auto load = [&](int64_t n, float* to) {
      const auto* key = row_of<E>(op.keys, h, begin + n);
      for (int64_t c = 0; c < op.head_dim; ++c) to[c] = E::load(key + c) * scales[begin + n];
    };
    block.multiply(end - begin, load, [&](int64_t tile, int64_t n, const Vec* y) {
      for (int64_t k = 0; k < Block::kVectors; ++k) {
        const int64_t v = tile * Block::kVectors + k;
        const auto column = static_cast<int32_t>(begin + n);
        const Vec cosine = y[k] * Float32::load_lanes(of_rows + v * kLanes);
        const Ints other = lane + static_cast<int32_t>(first + v * kLanes) != column;
        const Ints alike = open[v] & other & (cosine > KeySimilarity::kAlike);
        found[v] = alike ? Ints{} + column : found[v];
        cosines[v] = alike ? cosine : cosines[v];
      }
    });
    int64_t n_found = 0;
    for (int64_t r = 0; r < n_rows; ++r) n_found += found[r / kLanes][r % kLanes] >= 0;
    if (n_found == n_rows) break;
  }
  for (int64_t r = 0; r < n_rows; ++r) {
    const int64_t column = found[r / kLanes][r % kLanes];
    if (column < 0) continue;
    const auto units = static_cast<uint64_t>(cosines[r / kLanes][r % kLanes] * op.kUnits);
#pragma omp atomic
    lost[column] += units;
  }
}

template <class E>
void run(const KeySimilarity& op) {
  const int64_t n = op.n_rows, d = op.head_dim, width = whole_vectors(n);
  std::vector<float> scales(op.n_heads * n);
  std::vector<std::vector<float>> means;
  for (int64_t h = 0; h < op.n_heads; ++h) {
    means.push_back(mean_direction<E>(op.keys, h, n, d, inverse, &scales[h * n]));
  }
  for (auto& scale : scales) scale = inverse(scale);
  std::vector<uint64_t> lost(op.n_heads * n);
  for_token_blocks(
      op.n_heads, n, Block::kTokens, [&] { return Block(d); },
      [&](Block& block, int64_t h, int64_t first) {
        add_lost<E>(op, block, h, first, &scales[h * n], &lost[h * n]);
      });
#pragma omp parallel for schedule(static)
  for (int64_t h = 0; h < op.n_heads; ++h) {
    std::vector<float> weights(width, kNoLogit);
    for (int64_t j = 0; j < n; ++j) {
      Vec dot = {}, squares = {};
      for_steps<E>(row_of<E>(op.keys, h, j), d, [&](int64_t c, Vec x) {
        dot += x * Float32::load_lanes(&means[h][c]);
        squares += x * x;
      });
      const float scale = scales[h * n + j];
      const float less =
          horizontal_sum(squares) * scale * scale + static_cast<float>(lost[h * n + j]) / op.kUnits;
      weights[j] = horizontal_sum(dot) * scale - less / static_cast<float>(n);
    }
    softmax_row(weights.data(), width);
    std::copy_n(weights.data(), n, op.out + h * n);
  }
}

}  // namespace

void key_similarity_cpu(const KeySimilarity& op) {
  if (op.n_rows == 0) return;
  with_element(op.dtype, [&](auto element) { run<decltype(element)>(op); });
}

}  // namespace kvbench
