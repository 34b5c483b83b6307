// SnapKV's scores of a context by its window. GFLOP/s counts the dot products once.
//   build/kernels_bench --benchmark_filter=window_scores
#include "kernels/bench_data.h"
#include "kernels/window_scores.h"

namespace kvbench {
namespace {

constexpr int64_t kHeads = 3, kGroup = 3, kHeadDim = 64;

void window_scores(benchmark::State& state, DType dtype) {
  const int64_t W = state.range(0), T = state.range(1);
  const auto queries = bench_values(kHeads * kGroup * W * kHeadDim, dtype);
  const auto keys = bench_values(kHeads * T * kHeadDim, dtype);
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
  set_bytes(state, static_cast<int64_t>(queries.size() + keys.size() + 4 * out.size()));
  set_gflops(state, static_cast<double>(2 * kHeadDim * kHeads * kGroup * W * T));
}

void windows(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"queries", "tokens"})->Args({32, 8192})->Args({64, 8192})->Args({32, 32768});
  bench->Unit(benchmark::kMicrosecond)->UseRealTime();
}
BENCHMARK_CAPTURE(window_scores, bfloat16, DType::kBFloat16)->Apply(windows);
BENCHMARK_CAPTURE(window_scores, float32, DType::kFloat32)->Apply(windows);

}  // namespace
}  // namespace kvbench
