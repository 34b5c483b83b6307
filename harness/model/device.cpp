#include "harness/model/device.h"

#include <ATen/Context.h>
#include <dlfcn.h>

#include <fstream>

#include "harness/base/error.h"

namespace kvbench {
namespace {

// The CUDA runtime is loaded anyway, as LibTorch's CPU half links it; asking it costs nothing.
int cuda_device_count() {
  using GetDeviceCount = int (*)(int*);
  auto* get = reinterpret_cast<GetDeviceCount>(::dlsym(RTLD_DEFAULT, "cudaGetDeviceCount"));
  int count = 0;
  return get != nullptr && get(&count) == 0 ? count : 0;
}

// Loading the library registers its kernels with LibTorch's dispatcher.
void load_cuda_half() {
  if (::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    throw_input_error("device cuda: LibTorch's CUDA library cannot be loaded: {}", ::dlerror());
  }
}

}  // namespace

c10::Device resolve_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  if (!KVBENCH_CUDA) {
    if (name == "cuda") {
      throw InputError(
          "device cuda: this build has none (nvcc was not found when it was configured)");
    }
    return at::kCPU;
  }
  if (cuda_device_count() > 0) {
    load_cuda_half();
    return c10::Device(at::kCUDA, 0);
  }
  if (name == "cuda") throw InputError("device cuda: no CUDA device was found on this machine");
  return at::kCPU;
}

std::string device_name(c10::Device device) {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      const std::string cpu = line.substr(line.find(':') + 2);
      return device.is_cuda() ? "CUDA device 0, host " + cpu : cpu;
    }
  }
  return device.str();
}

}  // namespace kvbench
