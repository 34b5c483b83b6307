// What the benchmarks of operators share: values to run on, and the yardstick of a memory-bound
// one.
#pragma once

#include <benchmark/benchmark.h>

#include <cstring>
#include <random>
#include <vector>

#include "kernels/common/element.h"

namespace kvbench {

// Normal values as the bytes that tensors hold.
inline std::vector<uint8_t> bench_values(int64_t n, DType dtype, float spread = 1) {
  std::mt19937_64 generator(1);
  std::normal_distribution<float> normal(0, spread);
  std::vector<uint8_t> values(n * element_bytes(dtype));
  with_element(dtype, [&](auto element) {
    using E = decltype(element);
    auto* x = reinterpret_cast<typename E::Storage*>(values.data());
    for (int64_t i = 0; i < n; ++i) x[i] = E::from(normal(generator));
  });
  return values;
}

// GB/s of the bytes that the operator must move by definition.
inline void set_bytes(benchmark::State& state, int64_t bytes_of_a_run) {
  state.counters["GB/s"] = benchmark::Counter(
      1e-9 * static_cast<double>(state.iterations() * bytes_of_a_run), benchmark::Counter::kIsRate);
}

inline void set_gflops(benchmark::State& state, double flops_of_a_run) {
  state.counters["GFLOP/s"] = benchmark::Counter(
      1e-9 * static_cast<double>(state.iterations()) * flops_of_a_run, benchmark::Counter::kIsRate);
}

// A plain read of the same bytes by all threads.
inline uint64_t plain_read(const void* data, int64_t n_bytes) {
  constexpr int64_t kBlock = 1 << 15;
  using Words = uint64_t __attribute__((vector_size(64)));
  uint64_t total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total)
  for (int64_t b = 0; b < n_bytes / kBlock; ++b) {
    const char* block = static_cast<const char*>(data) + b * kBlock;
    Words sums[4] = {};
    for (int64_t i = 0; i < kBlock; i += sizeof sums) {
      for (int64_t k = 0; k < 4; ++k) {
        Words x;
        std::memcpy(&x, block + i + k * sizeof x, sizeof x);
        sums[k] += x;
      }
    }
    sums[0] += sums[1] + sums[2] + sums[3];
    for (int64_t k = 0; k < 8; ++k) total += sums[0][k];
  }
  return total;
}

}  // namespace kvbench
