// Attention of a prefill. GFLOP/s counts the pairs that are seen. LibTorch's beside it:
// kernels/causal_attention/causal_attention_side_by_side.py.
//   build/kernels_bench --benchmark_filter=causal_attention
#include "kernels/causal_attention/causal_attention.h"
#include "kernels/common/bench_data.h"

namespace kvbench {
namespace {

constexpr int64_t kHeads = 3, kGroup = 3, kHeadDim = 64;

void causal_attention(benchmark::State& state, DType dtype) {
  const int64_t T = state.range(0);
  const auto query = bench_values(kHeads * kGroup * T * kHeadDim, dtype);
  const auto keys = bench_values(kHeads * T * kHeadDim, dtype);
  const auto values = bench_values(kHeads * T * kHeadDim, dtype);
  std::vector<uint8_t> out(query.size());
  CausalAttention op;
  op.n_tokens = T;
  op.n_heads = kHeads * kGroup;
  op.n_kv_heads = kHeads;
  op.head_dim = kHeadDim;
  op.dtype = dtype;
  op.scale = 0.125;
  op.query = query.data();
  op.query_head_stride = kHeadDim;
  op.query_token_stride = kHeads * kGroup * kHeadDim;
  op.keys = keys.data();
  op.values = values.data();
  op.out = out.data();
  for (auto _ : state) causal_attention_cpu(op);
  set_gflops(state, 2 * static_cast<double>(T * (T + 1)) * kHeadDim * kHeads * kGroup);
}

void contexts(benchmark::internal::Benchmark* bench) {
  bench->ArgName("tokens")->Arg(512)->Arg(2048)->Arg(8192);
  bench->Unit(benchmark::kMillisecond)->UseRealTime();
}
BENCHMARK_CAPTURE(causal_attention, bfloat16, DType::kBFloat16)->Apply(contexts);
BENCHMARK_CAPTURE(causal_attention, float32, DType::kFloat32)->Apply(contexts);

}  // namespace
}  // namespace kvbench
