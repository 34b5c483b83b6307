// Expected Attention's scores of a layer: KV heads x GQA group x tokens x head_dim.
#include "kernels/common/bench_data.h"
#include "kernels/expected_attention_scores/expected_attention_scores.h"

namespace kvbench {
namespace {

void expected_attention_scores(benchmark::State& state, DType dtype, bool quadratic) {
  const int64_t H = state.range(0), G = state.range(1), T = state.range(2), d = state.range(3);
  const auto keys = bench_values(H * T * d, dtype), values = bench_values(H * T * d, dtype);
  const auto linear = bench_values(H * G * d, DType::kFloat32, 0.1F);
  const auto matrix = bench_values(H * G * d * d, DType::kFloat32, 0.01F);
  std::vector<float> out(H * T);
  ExpectedAttentionScores op;
  op.n_heads = H;
  op.n_query_heads = H * G;
  op.n_rows = T;
  op.head_dim = d;
  op.dtype = dtype;
  op.keys = {keys.data(), T * d, d};
  op.values = {values.data(), T * d, d};
  op.linear = reinterpret_cast<const float*>(linear.data());
  op.quadratic = quadratic ? reinterpret_cast<const float*>(matrix.data()) : nullptr;
  op.out = out.data();
  for (auto _ : state) expected_attention_scores_cpu(op);
  set_bytes(state,
            H * T * (2 * d * element_bytes(dtype) + 4) + 4 * H * G * d * (quadratic ? d + 1 : 1));
  set_gflops(state, 2.0 * static_cast<double>(H * G * T * d * (quadratic ? d + 1 : 1)));
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"heads", "group", "tokens", "d"})->Unit(benchmark::kMillisecond);
  bench->UseRealTime()->Args({3, 3, 4096, 64})->Args({8, 4, 4096, 128});
}

BENCHMARK_CAPTURE(expected_attention_scores, covariance_bfloat16, DType::kBFloat16, true)
    ->Apply(shapes);
BENCHMARK_CAPTURE(expected_attention_scores, covariance_float32, DType::kFloat32, true)
    ->Apply(shapes);
BENCHMARK_CAPTURE(expected_attention_scores, mean_bfloat16, DType::kBFloat16, false)->Apply(shapes);

}  // namespace
}  // namespace kvbench
