// A chunk of the context repeated: queries of the repeat against the chunk and one another. GFLOP/s
// counts the dot products of all visible pairs once.
//   build/kernels_bench --benchmark_filter=peak_attention
#include "kernels/common/bench_data.h"
#include "kernels/peak_attention/peak_attention.h"

namespace kvbench {
namespace {

constexpr int64_t kHeads = 3, kGroup = 3, kHeadDim = 64, kSinks = 4;

void peak_attention(benchmark::State& state, DType dtype) {
  const int64_t q = state.range(0), m = state.range(1);
  const auto queries = bench_values(kHeads * kGroup * q * kHeadDim, dtype);
  const auto own = bench_values(kHeads * q * kHeadDim, dtype);
  const auto sinks = bench_values(kHeads * kSinks * kHeadDim, dtype);
  const auto keys = bench_values(kHeads * m * kHeadDim, dtype);
  std::vector<float> out(kHeads * m);
  const PeakAttention op = {.n_heads = kHeads * kGroup,
                            .n_kv_heads = kHeads,
                            .n_queries = q,
                            .n_sinks = kSinks,
                            .n_keys = m,
                            .head_dim = kHeadDim,
                            .dtype = dtype,
                            .scale = 0.125,
                            .to_others = {queries.data(), q * kHeadDim, kHeadDim},
                            .to_own = {queries.data(), q * kHeadDim, kHeadDim},
                            .sinks = {sinks.data(), kSinks * kHeadDim, kHeadDim},
                            .keys = {keys.data(), m * kHeadDim, kHeadDim},
                            .own = {own.data(), q * kHeadDim, kHeadDim},
                            .out = out.data()};
  for (auto _ : state) peak_attention_cpu(op);
  const auto pairs =
      static_cast<double>(kHeads * kGroup * q * (kSinks + m) + kHeads * kGroup * q * (q + 1) / 2);
  set_bytes(state, static_cast<int64_t>(queries.size() + own.size() + keys.size()));
  set_gflops(state, 2 * kHeadDim * pairs);
}

void repeats(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"queries", "keys"})->Args({288, 256})->Args({2080, 2048});
  bench->Unit(benchmark::kMicrosecond)->UseRealTime();
}
BENCHMARK_CAPTURE(peak_attention, bfloat16, DType::kBFloat16)->Apply(repeats);
BENCHMARK_CAPTURE(peak_attention, float32, DType::kFloat32)->Apply(repeats);

}  // namespace
}  // namespace kvbench
