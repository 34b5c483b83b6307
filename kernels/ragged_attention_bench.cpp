// Decode and question-block attention over ragged caches, beside LibTorch's own operators on the
// same data. GB/s counts every cached key and value once.
//   build/kernels_bench --benchmark_repetitions=5 --benchmark_report_aggregates_only=true
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include "kernels/ragged_attention_torch.h"

namespace kvbench {
namespace {

struct Inputs {
  at::Tensor query, starts, lengths;
  std::vector<at::Tensor> keys, values;
  double cache_bytes = 0, flops = 0;
};

// Seven caches as a sweep decodes them together: one full, six cut to a half or a fifth.
Inputs sweep_batch(int64_t context, int64_t n_tokens, at::ScalarType dtype) {
  constexpr int64_t kHeads = 3, kGroup = 3, kHeadDim = 64;
  const std::vector<double> kept = {1, 0.5, 0.2, 0.5, 0.2, 0.5, 0.2};
  Inputs in;
  const auto n = static_cast<int64_t>(kept.size());
  at::manual_seed(1);
  in.query = at::randn({n, n_tokens, kHeads * kGroup, kHeadDim}).to(dtype);
  in.starts = at::zeros({n, kHeads}, at::kLong);
  in.lengths = at::zeros({n, kHeads}, at::kLong);
  for (int64_t s = 0; s < n; ++s) {
    const auto length = static_cast<int64_t>(kept[s] * static_cast<double>(context)) + n_tokens;
    for (int64_t h = 0; h < kHeads; ++h) {
      in.starts[s][h] = h * length;
      in.lengths[s][h] = length;
    }
    in.keys.push_back(at::randn({kHeads * length, kHeadDim}).to(dtype));
    in.values.push_back(at::randn({kHeads * length, kHeadDim}).to(dtype));
    in.cache_bytes += 2.0 * static_cast<double>(in.keys.back().nbytes());
    in.flops += 4.0 * static_cast<double>(kHeads * kGroup * kHeadDim * length * n_tokens);
  }
  return in;
}

using Operator = at::Tensor (*)(const at::Tensor&, at::TensorList, at::TensorList,
                                const at::Tensor&, const at::Tensor&, double, int64_t);

void run(benchmark::State& state, Operator op, at::ScalarType dtype) {
  const Inputs in = sweep_batch(state.range(0), state.range(1), dtype);
  for (auto _ : state) {
    benchmark::DoNotOptimize(op(in.query, in.keys, in.values, in.starts, in.lengths, 0.125, 0));
  }
  const auto rounds = static_cast<double>(state.iterations());
  state.counters["GB/s"] =
      benchmark::Counter(rounds * in.cache_bytes / 1e9, benchmark::Counter::kIsRate);
  state.counters["GFLOP/s"] =
      benchmark::Counter(rounds * in.flops / 1e9, benchmark::Counter::kIsRate);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"context", "new"})->Args({1024, 1})->Args({4096, 1})->Args({1024, 40});
  bench->Unit(benchmark::kMicrosecond);
}
BENCHMARK_CAPTURE(run, kvbench_bfloat16, ragged_attention, at::kBFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(run, libtorch_bfloat16, ragged_attention_composite, at::kBFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(run, kvbench_float32, ragged_attention, at::kFloat)->Apply(shapes);
BENCHMARK_CAPTURE(run, libtorch_float32, ragged_attention_composite, at::kFloat)->Apply(shapes);

}  // namespace
}  // namespace kvbench
