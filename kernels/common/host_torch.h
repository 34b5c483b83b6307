// Values between the host and a device. Only host_values() waits for a device: what it costs is
// counted (n_host_waits), and tests hold it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace kvbench {

// Of an integer tensor, in its order.
std::vector<int64_t> host_values(const at::Tensor& tensor);

// How often host_values() was called.
int64_t n_host_waits();

// A tensor of the host on a device, after what the device has been given before.
at::Tensor on_device(const at::Tensor& values, c10::Device device);

}  // namespace kvbench
