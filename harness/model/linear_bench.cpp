// Packed products beside LibTorch's own, for the shapes of SmolLM2-135M: rows x in x out.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include "harness/model/linear.h"

namespace kvbench {
namespace {

void run(benchmark::State& state, at::ScalarType dtype, bool packed) {
  const c10::InferenceMode no_autograd;
  at::set_num_threads(1);
  const at::Tensor x = at::rand({state.range(0), state.range(1)}).to(dtype);
  const at::Tensor weight = at::rand({state.range(2), state.range(1)}).to(dtype);
  const Linear linear(weight, {}, Linear::Rounding::kAny);
  for (auto _ : state) benchmark::DoNotOptimize(packed ? linear(x) : at::linear(x, weight));
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "in", "out"});
  for (const int64_t rows : {1, 8, 43, 64, 65, 128, 256, 1000}) {
    for (const auto& [in, out] :
         {std::pair<int64_t, int64_t>{576, 960}, {576, 3072}, {1536, 576}}) {
      bench->Args({rows, in, out});
    }
    if (rows < 1000) bench->Args({rows, 576, 49152});
  }
}

BENCHMARK_CAPTURE(run, float32_libtorch, at::kFloat, false)->Apply(shapes);
BENCHMARK_CAPTURE(run, float32_packed, at::kFloat, true)->Apply(shapes);
BENCHMARK_CAPTURE(run, bfloat16_libtorch, at::kBFloat16, false)->Apply(shapes);
BENCHMARK_CAPTURE(run, bfloat16_packed, at::kBFloat16, true)->Apply(shapes);

}  // namespace
}  // namespace kvbench
