#include "kernels/common/host_torch.h"

#include <ATen/ATen.h>

#include <atomic>

namespace kvbench {
namespace {
std::atomic<int64_t> n_waits = 0;
}

std::vector<int64_t> host_values(const at::Tensor& tensor) {
  ++n_waits;
  const at::Tensor values = tensor.to(at::kCPU, at::kLong).contiguous();
  const auto* data = values.const_data_ptr<int64_t>();
  return {data, data + values.numel()};
}

int64_t n_host_waits() { return n_waits; }

at::Tensor on_device(const at::Tensor& values, c10::Device device) {
  if (device.is_cpu()) return values;
  // From pages that may move a copy waits for all that goes before it.
  return values.pin_memory().to(device, /*non_blocking=*/true);
}

}  // namespace kvbench
