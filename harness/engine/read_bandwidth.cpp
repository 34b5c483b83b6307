#include "harness/engine/read_bandwidth.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>

#include "harness/engine/stopwatch.h"

namespace kvbench {
namespace {

constexpr int64_t kBlockBytes = 1 << 15;

using Words = uint64_t __attribute__((vector_size(64)));

uint64_t sum_of_block(const char* block) {
  Words sums[4] = {};
  for (int64_t i = 0; i < kBlockBytes; i += sizeof(sums)) {
    for (int64_t k = 0; k < 4; ++k) {
      Words x;
      std::memcpy(&x, block + i + k * sizeof(x), sizeof(x));
      sums[k] += x;
    }
  }
  sums[0] += sums[1] + sums[2] + sums[3];
  uint64_t sum = 0;
  for (int64_t k = 0; k < 8; ++k) sum += sums[0][k];
  return sum;
}

// A sum, so that no read can be left out.
int64_t read_once(const at::Tensor& words) {
  if (!words.is_cpu()) return words.sum().item<int64_t>();
  const char* data = static_cast<const char*>(words.const_data_ptr());
  std::atomic<uint64_t> sum = 0;
  at::parallel_for(0, words.nbytes() / kBlockBytes, 1, [&](int64_t first, int64_t last) {
    uint64_t part = 0;
    for (int64_t b = first; b < last; ++b) part += sum_of_block(data + b * kBlockBytes);
    sum += part;
  });
  return static_cast<int64_t>(sum.load());
}

}  // namespace

double read_bandwidth(c10::Device device, int64_t bytes) {
  constexpr int64_t kMost = 1 << 30;
  constexpr int kReads = 10;
  const int64_t n_blocks = std::max<int64_t>(std::min(bytes, kMost) / kBlockBytes, 1);
  const c10::InferenceMode no_autograd;
  const at::Tensor words =
      at::ones({n_blocks * kBlockBytes / 8}, at::TensorOptions(device).dtype(at::kLong));
  double least_ms = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kReads; ++i) {
    const Stopwatch watch(device);
    const int64_t sum = read_once(words);
    least_ms = std::min(least_ms, watch.ms());
    TORCH_CHECK(sum == words.numel(), "memory was read wrongly");
  }
  constexpr double kMilli = 1e-3;
  return static_cast<double>(words.nbytes()) / (kMilli * least_ms);
}

}  // namespace kvbench
