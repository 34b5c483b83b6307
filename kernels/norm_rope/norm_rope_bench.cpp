// Norms and rotation of queries and keys: tokens x query heads x KV heads x head_dim.
#include "kernels/common/bench_data.h"
#include "kernels/norm_rope/norm_rope.h"

namespace kvbench {
namespace {

void norm_rope(benchmark::State& state, DType dtype, bool norm) {
  const int64_t n = state.range(0), Hq = state.range(1), H = state.range(2), d = state.range(3);
  const auto qkv = bench_values(n * (Hq + 2 * H) * d, dtype), weight = bench_values(d, dtype);
  const std::vector<float> cos(n * d / 2, 0.8F), sin(n * d / 2, 0.6F);
  auto queries = bench_values(n * Hq * d, dtype), keys = bench_values(n * H * d, dtype);
  NormRope op = {n, Hq, H, d, dtype, dtype, 1e-6F, qkv.data(), (Hq + 2 * H) * d};
  if (norm) op.query_weight = op.key_weight = weight.data();
  op.cos = cos.data();
  op.sin = sin.data();
  op.queries = queries.data();
  op.keys = keys.data();
  for (auto _ : state) norm_rope_cpu(op);
  set_bytes(state, n * d * (2 * (Hq + H) * element_bytes(dtype) + 4));
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"tokens", "Hq", "H", "d"})->Unit(benchmark::kMicrosecond);
  bench->UseRealTime()->Args({1, 9, 3, 64})->Args({1024, 32, 8, 128});
}

BENCHMARK_CAPTURE(norm_rope, rope_bfloat16, DType::kBFloat16, false)->Apply(shapes);
BENCHMARK_CAPTURE(norm_rope, norm_rope_bfloat16, DType::kBFloat16, true)->Apply(shapes);
BENCHMARK_CAPTURE(norm_rope, norm_rope_float32, DType::kFloat32, true)->Apply(shapes);

}  // namespace
}  // namespace kvbench
