// Projections beside LibTorch's own product and beside oneDNN's with a weight packed
// beforehand, for the shapes of SmolLM2-135M: rows x in x out. One thread.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/List.h>
#include <benchmark/benchmark.h>

#include "kernels/common/checks_torch.h"
#include "kernels/packed_linear/packed_linear_torch.h"

namespace kvbench {
namespace {

at::Tensor packed_by_onednn(const at::Tensor& weight) {
  static const auto reorder =
      find_operator<at::Tensor(const at::Tensor&, std::optional<c10::SymInt>)>(
          "mkldnn::_reorder_linear_weight");
  return reorder.call(weight, c10::SymInt(16));
}

at::Tensor multiply_packed(const at::Tensor& x, const at::Tensor& packed) {
  using Product = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                             std::string_view, c10::List<std::optional<at::Scalar>>,
                             std::optional<std::string_view>);
  static const auto product = find_operator<Product>("mkldnn::_linear_pointwise");
  return product.call(x, packed, {}, "none", c10::List<std::optional<at::Scalar>>(), "");
}

enum class By { kOurs, kLibTorch, kPacked };

void run(benchmark::State& state, at::ScalarType dtype, By by) {
  const c10::InferenceMode no_autograd;
  at::set_num_threads(1);
  const at::Tensor x = at::rand({state.range(0), state.range(1)}).to(dtype);
  const at::Tensor weight = at::rand({state.range(2), state.range(1)}).to(dtype);
  at::Tensor packed;
  if (by == By::kOurs) packed = pack_weight(weight);
  if (by == By::kPacked) {
    try {
      packed = packed_by_onednn(weight);
    } catch (const c10::Error&) {  // bfloat16 without AVX-512
      return state.SkipWithError("oneDNN packs no such weight on this machine");
    }
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(by == By::kOurs       ? packed_linear(x, packed, weight.size(0), {})
                             : by == By::kLibTorch ? at::linear(x, weight)
                                                   : multiply_packed(x, packed));
  }
  state.counters["GFLOP/s"] =
      benchmark::Counter(2e-9 * static_cast<double>(state.iterations() * state.range(0) *
                                                    state.range(1) * state.range(2)),
                         benchmark::Counter::kIsRate);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "in", "out"})->Unit(benchmark::kMicrosecond);
  for (const int64_t rows : {1, 7, 19, 64, 380}) {
    for (const auto& [in, out] :
         {std::pair<int64_t, int64_t>{576, 960}, {576, 3072}, {1536, 576}, {576, 49152}}) {
      bench->Args({rows, in, out});
    }
  }
}

BENCHMARK_CAPTURE(run, float32_kvbench, at::kFloat, By::kOurs)->Apply(shapes);
BENCHMARK_CAPTURE(run, float32_libtorch, at::kFloat, By::kLibTorch)->Apply(shapes);
BENCHMARK_CAPTURE(run, float32_packed, at::kFloat, By::kPacked)->Apply(shapes);
BENCHMARK_CAPTURE(run, bfloat16_kvbench, at::kBFloat16, By::kOurs)->Apply(shapes);
BENCHMARK_CAPTURE(run, bfloat16_libtorch, at::kBFloat16, By::kLibTorch)->Apply(shapes);
BENCHMARK_CAPTURE(run, bfloat16_packed, at::kBFloat16, By::kPacked)->Apply(shapes);

}  // namespace
}  // namespace kvbench
