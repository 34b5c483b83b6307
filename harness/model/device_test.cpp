#include "harness/model/device.h"

#include <gtest/gtest.h>

#include "harness/base/error.h"

namespace kvbench {
namespace {

TEST(Device, AutoSaysWhatItTookAndWhy) {
  const c10::Device device = resolve_device("auto");
  const std::string note = device_note("auto");
  if (device.is_cpu()) {
    EXPECT_TRUE(note.starts_with("device auto: cpu, no CUDA device: ")) << note;
  } else {
    EXPECT_EQ(note, "device auto: cuda:0, " + device_name(device));
  }
  EXPECT_EQ(device_note("cpu"), "");
  EXPECT_EQ(device_note("cuda:1"), "");
}

TEST(Device, SaysWhatAGpuIsMissing) {
  for (const std::string word : {"cuda:99", "cuda"}) {
    if (word == "cuda" && resolve_device("auto").is_cuda()) continue;
    try {
      resolve_device(word);
      ADD_FAILURE() << word;
    } catch (const InputError& error) {
      const std::string expected = "device " + word + ": no CUDA device";
      EXPECT_TRUE(std::string(error.what()).starts_with(expected)) << error.what();
    }
  }
}

TEST(Device, HasAName) {
  EXPECT_EQ(device_name(at::kCPU).find("CUDA"), std::string::npos);
  EXPECT_GT(device_name(at::kCPU).size(), 3u);
  if (const auto device = resolve_device("auto"); device.is_cuda()) {
    EXPECT_FALSE(device_name(device).starts_with("CUDA device"));
  }
}

}  // namespace
}  // namespace kvbench
