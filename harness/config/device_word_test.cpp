#include "harness/config/device_word.h"

#include <gtest/gtest.h>

namespace kvbench {
namespace {

TEST(DeviceWord, NamesAGpuByItsNumber) {
  for (const char* word : {"auto", "cpu", "cuda", "cuda:0", "cuda:1", "cuda:12"}) {
    EXPECT_TRUE(is_device_word(word)) << word;
  }
  for (const char* word : {"", "gpu", "cuda:", "cuda:N", "cuda:-1", "cuda: 1", "cuda:1x",
                           "cuda:999", "cpu:0", "CUDA"}) {
    EXPECT_FALSE(is_device_word(word)) << word;
  }
}

}  // namespace
}  // namespace kvbench
