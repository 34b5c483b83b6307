// SnapKV's scores of a context by its window, beside LibTorch's operators: products in the dtype,
// softmax in float32. GFLOP/s counts the dot products once.
//   build/kernels_bench --benchmark_filter=window_scores
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>

#include "kernels/common/bench_data.h"
#include "kernels/window_scores/window_scores_torch.h"

namespace kvbench {
namespace {

constexpr int64_t kHeads = 3, kGroup = 3, kHeadDim = 64, kKernel = 7;
const double kScale = 1 / std::sqrt(kHeadDim);

at::Tensor by_kvbench(const at::Tensor& queries, const at::Tensor& keys) {
  return window_scores(queries, keys, kScale, "max", kKernel, "pool_first", "mean");
}

at::Tensor by_libtorch(const at::Tensor& queries, const at::Tensor& keys) {
  const int64_t W = queries.size(1), T = keys.size(1);
  // A group's queries lie one below the other: [H, group * W, T].
  const at::Tensor logits =
      at::matmul(queries.view({kHeads, kGroup * W, kHeadDim}), keys.transpose(1, 2)).mul_(kScale);
  const at::Tensor later = at::ones({W, W}, at::kBool).triu(1);
  logits.view({kHeads * kGroup, W, T}).narrow(2, T - W, W).masked_fill_(later, -INFINITY);
  const at::Tensor votes =
      at::softmax(logits, -1, at::kFloat).view({kHeads * kGroup, W, T}).narrow(2, 0, T - W).mean(1);
  return at::max_pool1d(votes, kKernel, 1, kKernel / 2).view({kHeads, kGroup, T - W}).mean(1);
}

void run(benchmark::State& state, at::ScalarType dtype, decltype(by_kvbench) scores) {
  const c10::InferenceMode no_autograd;
  const int64_t W = state.range(0), T = state.range(1);
  const at::Tensor queries = at::randn({kHeads * kGroup, W, kHeadDim}).to(dtype);
  const at::Tensor keys = at::randn({kHeads, T, kHeadDim}).to(dtype);
  for (auto _ : state) benchmark::DoNotOptimize(scores(queries, keys));
  set_gflops(state, static_cast<double>(2 * kHeadDim * kHeads * kGroup * W * T));
}

void windows(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"queries", "tokens"})->Args({32, 8192})->Args({64, 8192})->Args({32, 32768});
  bench->Unit(benchmark::kMicrosecond)->UseRealTime();
}
BENCHMARK_CAPTURE(run, window_scores_bfloat16_kvbench, at::kBFloat16, by_kvbench)->Apply(windows);
BENCHMARK_CAPTURE(run, window_scores_bfloat16_libtorch, at::kBFloat16, by_libtorch)->Apply(windows);
BENCHMARK_CAPTURE(run, window_scores_float32_kvbench, at::kFloat, by_kvbench)->Apply(windows);
BENCHMARK_CAPTURE(run, window_scores_float32_libtorch, at::kFloat, by_libtorch)->Apply(windows);

}  // namespace
}  // namespace kvbench
