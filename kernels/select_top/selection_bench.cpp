// What selects: tokens of heads by their scores, entries of rows that share a budget, the highest
// logit. GB/s counts every score once, and what is written.
#include "kernels/argmax/argmax.h"
#include "kernels/common/bench_data.h"
#include "kernels/flattened_counts/flattened_counts.h"
#include "kernels/select_top/select_top.h"

namespace kvbench {
namespace {

std::vector<float> scores_of(int64_t n) {
  const auto bytes = bench_values(n, DType::kFloat32);
  std::vector<float> scores(n);
  std::memcpy(scores.data(), bytes.data(), bytes.size());
  return scores;
}

void select_top(benchmark::State& state) {
  const int64_t n_heads = state.range(0), n_tokens = state.range(1), n_kept = n_tokens / 5;
  const auto scores = scores_of(n_heads * n_tokens);
  const std::vector<int32_t> counts(n_heads, static_cast<int32_t>(n_kept));
  std::vector<int32_t> positions(n_heads * n_kept), offsets(n_heads + 1), invalid(n_heads);
  const SelectTop op = {.n_heads = n_heads,
                        .n_tokens = n_tokens,
                        .sink = 4,
                        .recent = 32,
                        .scores = scores.data(),
                        .counts = counts.data(),
                        .n_positions = n_heads * n_kept,
                        .positions = positions.data(),
                        .offsets = offsets.data(),
                        .invalid = invalid.data()};
  for (auto _ : state) select_top_cpu(op);
  set_bytes(state, 4 * n_heads * (n_tokens + n_kept));
}

void flattened_counts(benchmark::State& state) {
  const int64_t n_rows = state.range(0), n_columns = state.range(1);
  const auto scores = scores_of(n_rows * n_columns);
  std::vector<int32_t> counts(n_rows);
  const FlattenedCounts op = {.n_rows = n_rows,
                              .n_columns = n_columns,
                              .total = n_rows * n_columns / 5,
                              .safe = n_columns / 25,
                              .scores = scores.data(),
                              .counts = counts.data()};
  for (auto _ : state) flattened_counts_cpu(op);
  set_bytes(state, 4 * n_rows * n_columns);
}

void argmax(benchmark::State& state) {
  const int64_t n_rows = state.range(0), n_columns = state.range(1);
  const auto logits = scores_of(n_rows * n_columns);
  std::vector<int64_t> ids(n_rows);
  const Argmax op = {
      .n_rows = n_rows, .n_columns = n_columns, .logits = logits.data(), .ids = ids.data()};
  for (auto _ : state) argmax_cpu(op);
  set_bytes(state, 4 * n_rows * n_columns);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "columns"})->UseRealTime()->Unit(benchmark::kMicrosecond);
}

BENCHMARK(select_top)->Apply(shapes)->Args({8, 4096})->Args({8, 32768});
BENCHMARK(flattened_counts)->Apply(shapes)->Args({8, 4096})->Args({8, 32768});
BENCHMARK(argmax)->Apply(shapes)->Args({1, 49152})->Args({8, 128256});

}  // namespace
}  // namespace kvbench
