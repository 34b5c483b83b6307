// Norms of a layer's projected values: KV heads x GQA group x tokens x head_dim x hidden size.
#include "kernels/common/bench_data.h"
#include "kernels/projected_value_norms/projected_value_norms.h"

namespace kvbench {
namespace {

void projected_value_norms(benchmark::State& state, DType dtype, int p) {
  const int64_t H = state.range(0), G = state.range(1), T = state.range(2), d = state.range(3),
                D = state.range(4);
  const auto values = bench_values(H * T * d, dtype), weight = bench_values(D * H * G * d, dtype);
  std::vector<float> out(H * G * T);
  const ProjectedValueNorms op = {
      H, H * G, T, d, D, dtype, p, {values.data(), T * d, d}, weight.data(), out.data()};
  for (auto _ : state) projected_value_norms_cpu(op);
  set_bytes(state,
            (H * T * d + D * H * G * d) * element_bytes(dtype) + 4 * H * T * (p == 1 ? 1 : G));
  // p = 2 by the quadratic form.
  const auto columns = static_cast<double>(p == 1 ? D : d);
  set_gflops(state, 2.0 * static_cast<double>(H * G * T * d) * columns);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"heads", "group", "tokens", "d", "D"})->Unit(benchmark::kMillisecond);
  bench->UseRealTime()->Args({3, 3, 4096, 64, 576});
}

BENCHMARK_CAPTURE(projected_value_norms, l1_bfloat16, DType::kBFloat16, 1)->Apply(shapes);
BENCHMARK_CAPTURE(projected_value_norms, l1_float32, DType::kFloat32, 1)->Apply(shapes);
BENCHMARK_CAPTURE(projected_value_norms, l2_bfloat16, DType::kBFloat16, 2)->Apply(shapes);
BENCHMARK_CAPTURE(projected_value_norms, l2_float32, DType::kFloat32, 2)->Apply(shapes);

}  // namespace
}  // namespace kvbench
