// Column sums of a whole context's attention, and SnapKV's scores of its window. GFLOP/s counts the
// dot products of all visible pairs once.
//   build/kernels_bench --benchmark_filter='column_sums|window_scores'
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "kernels/attention_column_sums.h"
#include "kernels/element.h"
#include "kernels/window_scores.h"

namespace kvbench {
namespace {

constexpr int64_t kHeads = 3, kGroup = 3, kHeadDim = 64;

std::vector<uint8_t> normal_values(int64_t n, DType dtype) {
  std::mt19937_64 generator(1);
  std::normal_distribution<float> normal;
  std::vector<uint8_t> values(n * element_bytes(dtype));
  with_element(dtype, [&](auto element) {
    using E = decltype(element);
    auto* x = reinterpret_cast<typename E::Storage*>(values.data());
    for (int64_t i = 0; i < n; ++i) x[i] = E::from(normal(generator));
  });
  return values;
}

void set_rates(benchmark::State& state, double bytes, double flops) {
  const auto rounds = 1e-9 * static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(rounds * bytes, benchmark::Counter::kIsRate);
  state.counters["GFLOP/s"] = benchmark::Counter(rounds * flops, benchmark::Counter::kIsRate);
}

void attention_column_sums(benchmark::State& state, DType dtype) {
  const int64_t Q = state.range(0), T = state.range(1);
  const auto queries = normal_values(kHeads * kGroup * Q * kHeadDim, dtype);
  const auto keys = normal_values(kHeads * T * kHeadDim, dtype);
  std::vector<float> out(kHeads * T);
  const AttentionColumnSums op = {.n_heads = kHeads * kGroup,
                                  .n_kv_heads = kHeads,
                                  .n_queries = Q,
                                  .n_tokens = T,
                                  .head_dim = kHeadDim,
                                  .dtype = dtype,
                                  .scale = 0.125,
                                  .queries = {queries.data(), Q * kHeadDim, kHeadDim},
                                  .keys = {keys.data(), T * kHeadDim, kHeadDim},
                                  .n_columns = T,
                                  .out = out.data()};
  for (auto _ : state) attention_column_sums_cpu(op);
  const auto pairs = static_cast<double>(kHeads * kGroup * (Q * (T - Q) + Q * (Q + 1) / 2));
  set_rates(state, static_cast<double>(queries.size() + keys.size() + 4 * out.size()),
            2 * kHeadDim * pairs);
}

void window_scores(benchmark::State& state, DType dtype) {
  const int64_t W = state.range(0), T = state.range(1);
  const auto queries = normal_values(kHeads * kGroup * W * kHeadDim, dtype);
  const auto keys = normal_values(kHeads * T * kHeadDim, dtype);
  std::vector<float> out(kHeads * (T - W));
  const WindowScores op = {.n_heads = kHeads * kGroup,
                           .n_kv_heads = kHeads,
                           .window = W,
                           .n_tokens = T,
                           .head_dim = kHeadDim,
                           .dtype = dtype,
                           .scale = 0.125,
                           .queries = queries.data(),
                           .keys = {keys.data(), T * kHeadDim, kHeadDim},
                           .kernel = 7,
                           .out = out.data()};
  for (auto _ : state) window_scores_cpu(op);
  set_rates(state, static_cast<double>(queries.size() + keys.size() + 4 * out.size()),
            static_cast<double>(2 * kHeadDim * kHeads * kGroup * W * T));
}

void windows(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"queries", "tokens"})->Args({32, 8192})->Args({64, 8192})->Args({32, 32768});
  bench->Unit(benchmark::kMicrosecond)->UseRealTime();
}
void contexts(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"queries", "tokens"})->Args({1, 8192})->Args({1024, 1024})->Args({4096, 4096});
  bench->Unit(benchmark::kMicrosecond)->UseRealTime();
}
BENCHMARK_CAPTURE(window_scores, bfloat16, DType::kBFloat16)->Apply(windows);
BENCHMARK_CAPTURE(window_scores, float32, DType::kFloat32)->Apply(windows);
BENCHMARK_CAPTURE(attention_column_sums, bfloat16, DType::kBFloat16)->Apply(contexts);
BENCHMARK_CAPTURE(attention_column_sums, float32, DType::kFloat32)->Apply(contexts);

}  // namespace
}  // namespace kvbench
