// The tests of operators run twice from the same sources: on the CPU, and with KVBENCH_TEST_CUDA
// on the CUDA kernels, whose PTX kernels/ptx executes where there is no GPU.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/common/element.h"
#ifdef KVBENCH_TEST_CUDA
#include <cuda_runtime_api.h>
#endif

namespace kvbench {

#ifdef KVBENCH_TEST_CUDA
inline constexpr bool kTestsCuda = true;
#else
inline constexpr bool kTestsCuda = false;
#endif

// An array where the operator under test finds it. On the device there is nothing behind its end.
template <class T>
class TestArray {
 public:
  // Holds `values`.
  explicit TestArray(const std::vector<T>& values) : host_(values) {
#ifdef KVBENCH_TEST_CUDA
    allocate();
    EXPECT_EQ(cudaMemcpy(device_, host_.data(), bytes(), cudaMemcpyHostToDevice), cudaSuccess);
#endif
  }
  // Holds nothing yet: a kernel that reads it before it has written it is found out.
  explicit TestArray(size_t n) : host_(n) {
#ifdef KVBENCH_TEST_CUDA
    allocate();
#else
    std::fill_n(reinterpret_cast<uint8_t*>(host_.data()), bytes(), uint8_t{0xff});  // NaNs
#endif
  }
  TestArray(const TestArray&) = delete;
  TestArray& operator=(const TestArray&) = delete;
#ifdef KVBENCH_TEST_CUDA
  ~TestArray() { cudaFree(device_); }
  T* data() { return device_; }
  // What it holds now; waits for the device.
  std::vector<T> read() const {
    std::vector<T> values(host_.size());
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(values.data(), device_, bytes(), cudaMemcpyDeviceToHost), cudaSuccess);
    return values;
  }
#else
  T* data() { return host_.data(); }
  std::vector<T> read() const { return host_; }
#endif
  size_t size() const { return host_.size(); }
  size_t bytes() const { return host_.size() * sizeof(T); }

 private:
#ifdef KVBENCH_TEST_CUDA
  void allocate() {
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&device_), std::max<size_t>(bytes(), 1)),
              cudaSuccess);
  }
  T* device_ = nullptr;
#endif
  std::vector<T> host_;
};

// KVB_RUN(gated_activation, op) runs gated_activation_cpu(op), or gated_activation_cuda(op, stream)
// and wants success of it.
#ifdef KVBENCH_TEST_CUDA
#define KVB_RUN(NAME, OP) ASSERT_EQ(NAME##_cuda(OP, nullptr), 0)
#else
#define KVB_RUN(NAME, OP) NAME##_cpu(OP)
#endif

// Values of any dtype as the bytes that tensors hold, and back.
inline std::vector<uint8_t> encode(const std::vector<float>& values, DType dtype) {
  std::vector<uint8_t> bytes;
  with_element(dtype, [&](auto element) {
    using E = decltype(element);
    for (const float x : values) {
      const typename E::Storage stored = E::from(x);
      const auto* begin = reinterpret_cast<const uint8_t*>(&stored);
      bytes.insert(bytes.end(), begin, begin + sizeof stored);
    }
  });
  return bytes;
}

inline std::vector<float> decode(const std::vector<uint8_t>& bytes, DType dtype) {
  std::vector<float> values;
  with_element(dtype, [&](auto element) {
    using E = decltype(element);
    const auto* stored = reinterpret_cast<const typename E::Storage*>(bytes.data());
    for (size_t i = 0; i < bytes.size() / sizeof *stored; ++i)
      values.push_back(E::load(stored + i));
  });
  return values;
}

// Normal values of that spread, exact in every dtype that they are asked for.
inline std::vector<float> random_values(size_t n, uint64_t seed, DType dtype = DType::kFloat32,
                                        float spread = 1) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> values(n);
  for (auto& x : values) x = normal(generator);
  return decode(encode(values, dtype), dtype);
}

// Each value within `relative` of the wanted one's size plus `absolute`; a NaN is wrong.
inline void expect_near(const std::vector<float>& got, const std::vector<float>& want,
                        double relative, double absolute = 0) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_LE(std::abs(double{got[i]} - want[i]), relative * std::abs(double{want[i]}) + absolute)
        << "at " << i << ": " << got[i] << ", expected " << want[i];
  }
}

// What a result stored in `dtype` may be off by, relatively: its own rounding, beside sums in
// float.
inline double rounding(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return 1e-5;
    case DType::kBFloat16:
      return 0x1p-8;
    case DType::kFloat16:
      return 0x1p-11;
  }
  return 0;
}

inline constexpr DType kDTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16};

}  // namespace kvbench
