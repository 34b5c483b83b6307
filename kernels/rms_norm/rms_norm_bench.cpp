// RMS norms of a residual stream that takes a change: rows x columns.
#include "kernels/common/bench_data.h"
#include "kernels/rms_norm/rms_norm.h"

namespace kvbench {
namespace {

void rms_norm(benchmark::State& state, DType dtype) {
  const int64_t rows = state.range(0), columns = state.range(1);
  const auto x = bench_values(rows * columns, dtype), weight = bench_values(columns, dtype);
  auto residual = bench_values(rows * columns, dtype), out = residual;
  const RmsNorm op = {rows,     columns,       dtype,           dtype,     1e-5F,
                      x.data(), weight.data(), residual.data(), out.data()};
  for (auto _ : state) rms_norm_cpu(op);
  set_bytes(state, (4 * rows + 1) * columns * element_bytes(dtype));
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "columns"})->Unit(benchmark::kMicrosecond);
  bench->UseRealTime()->Args({1, 576})->Args({1024, 576})->Args({1024, 4096});
}

BENCHMARK_CAPTURE(rms_norm, bfloat16, DType::kBFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(rms_norm, float32, DType::kFloat32)->Apply(shapes);

}  // namespace
}  // namespace kvbench
