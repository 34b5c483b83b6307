// Where a model runs.
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace kvbench {

// auto: the first CUDA device when there is one, else the CPU. cuda: throws InputError at once when
// there is no device, no LibTorch library for it, or the build's KVBENCH_CUDA is off. LibTorch's
// CUDA half is loaded only here, so a machine without a GPU never pays for it.
c10::Device resolve_device(const std::string& name);

// "AMD EPYC ..." or the GPU's name, for the results file.
std::string device_name(c10::Device device);

}  // namespace kvbench
