#include "harness/model/device.h"

#include <gtest/gtest.h>

namespace kvbench {
namespace {

TEST(Device, TheCpuInPlaceOfAGpuIsSaid) {
  const std::filesystem::path here = "/dev/null", nowhere = "/dev/no_driver";
  if (resolve_device("auto").is_cpu()) {
    EXPECT_NE(device_note("auto", here).find("although this machine has a GPU"), std::string::npos);
  } else {
    EXPECT_EQ(device_note("auto", here), "");
  }
  EXPECT_EQ(device_note("auto", nowhere), "");
  EXPECT_EQ(device_note("cpu", here), "");
}

TEST(Device, HasAName) {
  EXPECT_EQ(device_name(at::kCPU).find("CUDA"), std::string::npos);
  EXPECT_GT(device_name(at::kCPU).size(), 3u);
  if (const auto device = resolve_device("auto"); device.is_cuda()) {
    EXPECT_NE(device_name(device), "CUDA device 0");
  }
}

}  // namespace
}  // namespace kvbench
