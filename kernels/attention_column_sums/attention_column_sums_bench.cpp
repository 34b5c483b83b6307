// Column sums of the attention of a last token, of whole contexts, and of a window at a cut, whose
// group's largest weights or logits count. GFLOP/s counts the dot
// products of all visible pairs once.
//   build/kernels_bench --benchmark_filter=column_sums
#include "kernels/attention_column_sums/attention_column_sums.h"
#include "kernels/common/bench_data.h"

namespace kvbench {
namespace {

constexpr int64_t kHeads = 3, kGroup = 3, kHeadDim = 64;

using Group = AttentionColumnSums::Group;

void attention_column_sums(benchmark::State& state, DType dtype, Group group = Group::kMean) {
  const int64_t Q = state.range(0), T = state.range(1);
  const auto queries = bench_values(kHeads * kGroup * Q * kHeadDim, dtype);
  const auto keys = bench_values(kHeads * T * kHeadDim, dtype);
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
                                  .group = group,
                                  .n_columns = T,
                                  .out = out.data()};
  for (auto _ : state) attention_column_sums_cpu(op);
  const auto pairs = static_cast<double>(kHeads * kGroup * (Q * (T - Q) + Q * (Q + 1) / 2));
  set_bytes(state, static_cast<int64_t>(queries.size() + keys.size() + 4 * out.size()));
  set_gflops(state, 2 * kHeadDim * pairs);
}

void contexts(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"queries", "tokens"})->Args({1, 8192})->Args({1024, 1024})->Args({4096, 4096});
  bench->Unit(benchmark::kMicrosecond)->UseRealTime();
}
BENCHMARK_CAPTURE(attention_column_sums, bfloat16, DType::kBFloat16)->Apply(contexts);
BENCHMARK_CAPTURE(attention_column_sums, float32, DType::kFloat32)->Apply(contexts);

void windows(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"queries", "tokens"})->Args({16, 2048})->Args({16, 8192});
  bench->Unit(benchmark::kMicrosecond)->UseRealTime();
}
BENCHMARK_CAPTURE(attention_column_sums, float32_mean, DType::kFloat32)->Apply(windows);
BENCHMARK_CAPTURE(attention_column_sums, float32_max, DType::kFloat32, Group::kMax)->Apply(windows);
BENCHMARK_CAPTURE(attention_column_sums, float32_max_logit, DType::kFloat32, Group::kMaxLogit)
    ->Apply(windows);

}  // namespace
}  // namespace kvbench
