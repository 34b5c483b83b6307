// Column sums of a block of causal attention weights, beside LibTorch's own operators on the same
// logits: 9 query heads of 28 tokens, as the attention scorers ask at 4096 keys.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include "kernels/causal_softmax_sums_torch.h"

namespace kvbench {
namespace {

at::Tensor by_libtorch(const at::Tensor& logits) {
  const int64_t n = logits.size(1);
  const at::Tensor future = at::ones({n, n}, logits.options().dtype(at::kBool)).triu(1);
  logits.narrow(2, logits.size(2) - n, n).masked_fill_(future, -INFINITY);
  return logits.softmax(-1).sum(1);
}

void run(benchmark::State& state, at::Tensor (*op)(const at::Tensor&)) {
  const c10::InferenceMode no_autograd;
  at::set_num_threads(1);
  const at::Tensor logits = at::randn({9, 28, state.range(0)});
  for (auto _ : state) benchmark::DoNotOptimize(op(logits));
}

BENCHMARK_CAPTURE(run, causal_softmax_sums, causal_softmax_sums)->Arg(1024)->Arg(4096);
BENCHMARK_CAPTURE(run, libtorch, by_libtorch)->Arg(1024)->Arg(4096);

}  // namespace
}  // namespace kvbench
