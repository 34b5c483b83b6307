// KeyDiff's scores of a layer beside a plain read of its keys, twice: heads x tokens x head_dim.
#include "kernels/common/bench_data.h"
#include "kernels/keydiff_scores/keydiff_scores.h"

namespace kvbench {
namespace {

void keydiff_scores(benchmark::State& state, DType dtype) {
  const int64_t H = state.range(0), T = state.range(1), d = state.range(2);
  const auto keys = bench_values(H * T * d, dtype);
  std::vector<float> out(H * T);
  const KeydiffScores op = {H, T, d, dtype, {keys.data(), T * d, d}, out.data()};
  for (auto _ : state) keydiff_scores_cpu(op);
  // The anchor needs all keys before the first score.
  set_bytes(state, H * T * (2 * d * element_bytes(dtype) + 4));
}

void plain_read_of_keys_twice(benchmark::State& state) {
  const auto keys =
      bench_values(state.range(0) * state.range(1) * state.range(2), DType::kBFloat16);
  const auto bytes = static_cast<int64_t>(keys.size());
  for (auto _ : state) {
    for (int i = 0; i < 2; ++i) benchmark::DoNotOptimize(plain_read(keys.data(), bytes));
  }
  set_bytes(state, 2 * bytes);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"heads", "tokens", "d"})->Unit(benchmark::kMicrosecond)->UseRealTime();
  bench->Args({3, 32768, 64})->Args({8, 32768, 128});
}

BENCHMARK(plain_read_of_keys_twice)->Apply(shapes);
BENCHMARK_CAPTURE(keydiff_scores, bfloat16, DType::kBFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(keydiff_scores, float16, DType::kFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(keydiff_scores, float32, DType::kFloat32)->Apply(shapes);

}  // namespace
}  // namespace kvbench
