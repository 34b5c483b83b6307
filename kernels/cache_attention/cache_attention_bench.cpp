// Decode and question-block attention over the ragged cache, beside a plain read of as many bytes.
// GB/s counts every cached key and value once.
//   build/kernels_bench --benchmark_filter='cache_attention|of_caches'
#include "kernels/cache_attention/cache_attention.h"
#include "kernels/common/bench_data.h"

namespace kvbench {
namespace {

// A cache alone, or seven as a sweep decodes them together: one full, six cut to a half or a fifth.
struct Caches {
  explicit Caches(const benchmark::State& state)
      : n_heads(state.range(0)),
        group(state.range(1)),
        head_dim(state.range(2)),
        n_sequences(state.range(3)),
        n_tokens(state.range(5)) {
    constexpr double kKept[] = {1, 0.5, 0.2, 0.5, 0.2, 0.5, 0.2};
    for (int64_t s = 0; s < n_sequences; ++s) {
      for (int64_t h = 0; h < n_heads; ++h) {
        starts.push_back(n_rows);
        lengths.push_back(static_cast<int64_t>(kKept[s] * static_cast<double>(state.range(4))) +
                          n_tokens);
        n_rows += lengths.back();
      }
    }
  }

  int64_t n_heads, group, head_dim, n_sequences, n_tokens, n_rows = 0;
  std::vector<int64_t> starts, lengths;
};

void cache_attention(benchmark::State& state, DType dtype) {
  const Caches caches(state);
  const auto& [n_heads, group, d, n_sequences, n_tokens, n_rows, starts, lengths] = caches;
  auto keys = bench_values(n_rows * d, dtype), values = bench_values(n_rows * d, dtype);
  const auto query = bench_values(n_sequences * n_tokens * n_heads * group * d, dtype);
  std::vector<uint8_t> out(query.size());
  CacheAttention op;
  op.cache.n_sequences = n_sequences;
  op.cache.n_kv_heads = n_heads;
  op.cache.head_dim = d;
  op.cache.n_rows = n_rows;
  op.cache.dtype = dtype;
  op.cache.keys = keys.data();
  op.cache.values = values.data();
  op.cache.starts = starts.data();
  op.cache.lengths = lengths.data();
  op.n_tokens = n_tokens;
  op.n_heads = n_heads * group;
  op.scale = 0.125;
  op.query = query.data();
  op.out = out.data();
  for (auto _ : state) cache_attention_cpu(op);
  set_bytes(state, static_cast<int64_t>(keys.size() + values.size()));
  set_gflops(state, static_cast<double>(4 * group * n_tokens * n_rows * d));
}

void plain_read_of_caches(benchmark::State& state, DType dtype) {
  const Caches caches(state);
  const auto rows = bench_values(2 * caches.n_rows * caches.head_dim, dtype);
  const auto bytes = static_cast<int64_t>(rows.size());
  for (auto _ : state) benchmark::DoNotOptimize(plain_read(rows.data(), bytes));
  set_bytes(state, bytes);
}

void long_caches(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"heads", "group", "d", "sequences", "context", "new"})
      ->Args({3, 3, 64, 7, 32768, 1})
      ->Args({8, 4, 128, 1, 32768, 1});
  bench->Unit(benchmark::kMicrosecond)->UseRealTime();
}
void all_caches(benchmark::internal::Benchmark* bench) {
  long_caches(bench);
  bench->Args({3, 3, 64, 7, 1024, 1})->Args({3, 3, 64, 7, 4096, 1})->Args({3, 3, 64, 7, 1024, 40});
}
BENCHMARK_CAPTURE(cache_attention, bfloat16, DType::kBFloat16)->Apply(all_caches);
BENCHMARK_CAPTURE(plain_read_of_caches, bfloat16, DType::kBFloat16)->Apply(long_caches);
BENCHMARK_CAPTURE(cache_attention, float32, DType::kFloat32)->Apply(all_caches);
BENCHMARK_CAPTURE(plain_read_of_caches, float32, DType::kFloat32)->Apply(long_caches);

}  // namespace
}  // namespace kvbench
