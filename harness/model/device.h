// Where a model runs.
#pragma once

#include <c10/core/Device.h>

#include <filesystem>
#include <string>

namespace kvbench {

// auto: the first CUDA device when there is one, else the CPU. cuda: throws InputError at once when
// there is no device, no LibTorch library for it, or the build's KVBENCH_CUDA is off. LibTorch's
// CUDA half is loaded only here, so a machine without a GPU never pays for it.
c10::Device resolve_device(const std::string& name);

// What the user should know about that choice, a line; "" when there is nothing: `auto` means the
// CPU on a machine that has a GPU. `driver` is there where one is.
std::string device_note(const std::string& name,
                        const std::filesystem::path& driver = "/dev/nvidiactl");

// "AMD EPYC ..." or "NVIDIA H100 ...", for the results file.
std::string device_name(c10::Device device);

}  // namespace kvbench
