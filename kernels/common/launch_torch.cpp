#include "kernels/common/launch_torch.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <cuda_runtime_api.h>

namespace kvbench {

[[gnu::weak]] bool served_by_cuda(c10::Device device) { return device.is_cuda(); }

[[gnu::weak]] CudaStream current_stream(c10::Device device) {
  if (!device.is_cuda()) return nullptr;
  const c10::impl::VirtualGuardImpl guard(device.type());
  return static_cast<CudaStream>(guard.getStreamNativeHandle(guard.getStream(device)));
}

int64_t n_multiprocessors(c10::Device device) {
  int count = 0;
  check_launch(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount,
                                      device.is_cuda() ? device.index() : 0),
               "number of multiprocessors");
  return count;
}

void check_launch(CudaStatus status, const char* name) {
  TORCH_CHECK(status == 0, name, ": ", cudaGetErrorString(static_cast<cudaError_t>(status)), " (",
              status, ")");
}

}  // namespace kvbench
