// What the tests against REFERENCE/decode/*.h5 share.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "harness/base/hdf5.h"
#include "harness/golden/golden.h"

namespace kvbench::golden {

template <class T>
at::Tensor read(const h5::File& file, const std::string& name) {
  const auto array = h5::read_array<T>(file, name);
  return at::tensor(array.values).view(array.dims);
}

// Relative to the largest absolute value expected; the padding is NaN.
inline void expect_relative(const at::Tensor& got, const at::Tensor& want, double tolerance) {
  ASSERT_EQ(got.sizes(), want.sizes());
  const double largest = want.abs().max().item<double>();
  EXPECT_LE((got.to(at::kDouble) - want.to(at::kDouble)).abs().max().item<double>(),
            tolerance * largest);
}

class DecodeGolden : public testing::Test {
 protected:
  static h5::File open(const std::string& name) {
    return {golden::reference_root() / "decode" / name, h5::Mode::kRead};
  }
};

#define KVB_REQUIRE_GOLDEN(NAME)                                          \
  const auto path_of_golden = golden::reference_root() / "decode" / NAME; \
  if (!std::filesystem::exists(path_of_golden)) GTEST_SKIP() << path_of_golden << " is absent"

}  // namespace kvbench::golden
