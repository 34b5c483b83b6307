// Similarity of keys that have a direction in common, as real ones do, and of keys without, for
// which all pairs are looked at: heads x tokens x head_dim.
#include "kernels/common/bench_data.h"
#include "kernels/key_similarity/key_similarity.h"

namespace kvbench {
namespace {

void key_similarity(benchmark::State& state, DType dtype, float common) {
  const int64_t H = state.range(0), T = state.range(1), d = state.range(2);
  auto keys = bench_values(H * T * d, dtype);
  with_element(dtype, [&](auto element) {
    using E = decltype(element);
    auto* x = reinterpret_cast<typename E::Storage*>(keys.data());
    for (int64_t i = 0; i < H * T * d; ++i) x[i] = E::from(E::load(x + i) + common);
  });
  std::vector<float> out(H * T);
  const KeySimilarity op = {H, T, d, dtype, {keys.data(), T * d, d}, out.data()};
  for (auto _ : state) key_similarity_cpu(op);
  set_bytes(state, H * T * (d * element_bytes(dtype) + 4));
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"heads", "tokens", "d"})->Unit(benchmark::kMillisecond);
  bench->UseRealTime()->Args({3, 2176, 64})->Args({8, 2176, 128});
}

BENCHMARK_CAPTURE(key_similarity, alike_bfloat16, DType::kBFloat16, 1.5F)->Apply(shapes);
BENCHMARK_CAPTURE(key_similarity, unlike_bfloat16, DType::kBFloat16, 0.0F)->Apply(shapes);

}  // namespace
}  // namespace kvbench
