// A step of the oracle over one layer: KV heads x GQA group x keys x head_dim.
#include "kernels/common/bench_data.h"
#include "kernels/oracle_step/oracle_step.h"

namespace kvbench {
namespace {

void oracle_step(benchmark::State& state, DType dtype) {
  const int64_t H = state.range(0), G = state.range(1), n = state.range(2), d = state.range(3);
  const auto query = bench_values(H * G * d, dtype), keys = bench_values(H * n * d, dtype);
  const std::vector<float> norms(H * G * n, 1);
  std::vector<float> importance(H * n);
  const OracleStep op = {H,
                         H * G,
                         n,
                         n,
                         d,
                         dtype,
                         0.1F,
                         query.data(),
                         {keys.data(), n * d, d},
                         norms.data(),
                         importance.data()};
  for (auto _ : state) oracle_step_cpu(op);
  set_bytes(state, H * n * (d * element_bytes(dtype) + 4 * (G + 2)));
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"heads", "group", "keys", "d"})->Unit(benchmark::kMicrosecond);
  bench->UseRealTime()->Args({3, 3, 32768, 64})->Args({8, 4, 32768, 128});
}

BENCHMARK_CAPTURE(oracle_step, bfloat16, DType::kBFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(oracle_step, float32, DType::kFloat32)->Apply(shapes);

}  // namespace
}  // namespace kvbench
