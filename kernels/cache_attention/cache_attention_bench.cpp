// Decode and question-block attention over the ragged cache, beside a plain read of as many bytes.
// GB/s counts every cached key and value once.
//   build/kernels_bench --benchmark_filter=cache_attention
#include "kernels/cache_attention/cache_attention.h"
#include "kernels/common/bench_data.h"

namespace kvbench {
namespace {

// Seven caches as a sweep decodes them together: one full, six cut to a half or a fifth.
void cache_attention(benchmark::State& state, DType dtype) {
  constexpr int64_t kHeads = 3, kGroup = 3, kHeadDim = 64;
  constexpr double kKept[] = {1, 0.5, 0.2, 0.5, 0.2, 0.5, 0.2};
  const auto S = static_cast<int64_t>(std::size(kKept)), m = state.range(1);
  std::vector<int64_t> starts, lengths;
  int64_t n_rows = 0;
  for (const double kept : kKept) {
    for (int64_t h = 0; h < kHeads; ++h) {
      starts.push_back(n_rows);
      lengths.push_back(static_cast<int64_t>(kept * static_cast<double>(state.range(0))) + m);
      n_rows += lengths.back();
    }
  }
  auto keys = bench_values(n_rows * kHeadDim, dtype),
       values = bench_values(n_rows * kHeadDim, dtype);
  const auto query = bench_values(S * m * kHeads * kGroup * kHeadDim, dtype);
  std::vector<uint8_t> out(query.size());
  CacheAttention op;
  op.cache.n_sequences = S;
  op.cache.n_kv_heads = kHeads;
  op.cache.head_dim = kHeadDim;
  op.cache.n_rows = n_rows;
  op.cache.dtype = dtype;
  op.cache.keys = keys.data();
  op.cache.values = values.data();
  op.cache.starts = starts.data();
  op.cache.lengths = lengths.data();
  op.n_tokens = m;
  op.n_heads = kHeads * kGroup;
  op.scale = 0.125;
  op.query = query.data();
  op.out = out.data();
  for (auto _ : state) cache_attention_cpu(op);
  set_bytes(state, static_cast<int64_t>(keys.size() + values.size()));
  set_gflops(state, static_cast<double>(4 * kGroup * m * n_rows * kHeadDim));
}

void plain_read_of_caches(benchmark::State& state) {
  constexpr int64_t kRowsOfHundred = 3 * 310;  // of 100 tokens of the context, as above
  const auto rows = bench_values(state.range(0) * kRowsOfHundred / 100 * 2 * 64, DType::kBFloat16);
  const auto bytes = static_cast<int64_t>(rows.size());
  for (auto _ : state) benchmark::DoNotOptimize(plain_read(rows.data(), bytes));
  set_bytes(state, bytes);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"context", "new"})
      ->Args({1024, 1})
      ->Args({4096, 1})
      ->Args({1024, 40})
      ->Args({32768, 1});
  bench->Unit(benchmark::kMicrosecond)->UseRealTime();
}
BENCHMARK_CAPTURE(cache_attention, bfloat16, DType::kBFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(cache_attention, float32, DType::kFloat32)->Apply(shapes);

BENCHMARK(plain_read_of_caches)
    ->ArgName("context")
    ->Arg(32768)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();

}  // namespace
}  // namespace kvbench
