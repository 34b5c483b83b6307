// L2 norms of a layer's keys beside a plain read of them: heads x tokens x head_dim.
#include "kernels/common/bench_data.h"
#include "kernels/row_norms/row_norms.h"

namespace kvbench {
namespace {

void row_norms(benchmark::State& state, DType dtype) {
  const int64_t H = state.range(0), T = state.range(1), d = state.range(2);
  const auto rows = bench_values(H * T * d, dtype);
  std::vector<float> out(H * T);
  const RowNorms op = {H, T, d, dtype, 2, {rows.data(), T * d, d}, out.data()};
  for (auto _ : state) row_norms_cpu(op);
  set_bytes(state, H * T * (d * element_bytes(dtype) + 4));
}

void plain_read_of_rows(benchmark::State& state) {
  const auto rows =
      bench_values(state.range(0) * state.range(1) * state.range(2), DType::kBFloat16);
  const auto bytes = static_cast<int64_t>(rows.size());
  for (auto _ : state) benchmark::DoNotOptimize(plain_read(rows.data(), bytes));
  set_bytes(state, bytes);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"heads", "tokens", "d"})->Unit(benchmark::kMicrosecond)->UseRealTime();
  bench->Args({3, 32768, 64})->Args({8, 32768, 128});
}

BENCHMARK(plain_read_of_rows)->Apply(shapes);
BENCHMARK_CAPTURE(row_norms, bfloat16, DType::kBFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(row_norms, float16, DType::kFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(row_norms, float32, DType::kFloat32)->Apply(shapes);

}  // namespace
}  // namespace kvbench
