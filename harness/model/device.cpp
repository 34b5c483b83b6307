#include "harness/model/device.h"

#include <ATen/Context.h>
#include <dlfcn.h>

#include <cstring>
#include <fstream>

#include "harness/base/error.h"

namespace kvbench {
namespace {

// The CUDA runtime is loaded anyway, as LibTorch's CPU half links it; asking it costs nothing.
template <class Function>
Function* cuda_function(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_DEFAULT, name));
}

int cuda_device_count() {
  auto* get = cuda_function<int(int*)>("cudaGetDeviceCount");
  int count = 0;
  return get != nullptr && get(&count) == 0 ? count : 0;
}

std::string cuda_device_name() {
  // cudaDeviceProp of every version begins with the name; none is near this size.
  struct alignas(16) Properties {
    char name[256];
    char others[8192];
  };
  for (const char* version : {"cudaGetDeviceProperties_v2", "cudaGetDeviceProperties"}) {
    auto* get = cuda_function<int(Properties*, int)>(version);
    Properties properties = {};
    if (get == nullptr || get(&properties, 0) != 0) continue;
    return {properties.name, ::strnlen(properties.name, sizeof properties.name)};
  }
  return "";
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

std::string device_note(const std::string& name, const std::filesystem::path& driver) {
  const bool takes_gpu = KVBENCH_CUDA && cuda_device_count() > 0;
  if (name != "auto" || takes_gpu || !std::filesystem::exists(driver)) return "";
  return fmt::format("device auto: the CPU, although this machine has a GPU: {}",
                     KVBENCH_CUDA ? "the CUDA runtime finds no device"
                                  : "this build has no CUDA (nvcc was not found when it was "
                                    "configured)");
}

std::string device_name(c10::Device device) {
  if (device.is_cuda()) {
    const std::string gpu = cuda_device_name();
    return gpu.empty() ? "CUDA device 0" : gpu;
  }
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return device.str();
}

}  // namespace kvbench
