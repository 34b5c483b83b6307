#include "harness/model/device.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <charconv>
#include <fstream>

#include "harness/base/error.h"

namespace kvbench {
namespace {

// Why GPU `index` cannot be used; "" when it can. Loading LibTorch's CUDA half registers its
// kernels with the dispatcher.
std::string gpu_refusal(int index) {
  int driver = 0, count = 0;
  // Without a driver cudaGetDeviceCount() calls it too old.
  if (cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0) {
    return "no CUDA device: no NVIDIA driver is installed";
  }
  if (const cudaError_t status = cudaGetDeviceCount(&count); status != cudaSuccess) {
    return fmt::format("no CUDA device: {}", cudaGetErrorString(status));
  }
  if (index >= count) return fmt::format("no CUDA device {}: {} found", index, count);
  if (::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    return fmt::format("LibTorch's CUDA half cannot be loaded: {}", ::dlerror());
  }
  return "";
}

}  // namespace

c10::Device resolve_device(const std::string& word) {
  if (word == "cpu") return at::kCPU;
  int index = 0;
  if (word.starts_with("cuda:")) std::from_chars(&word[5], &word[0] + word.size(), index);
  const std::string refusal = gpu_refusal(index);
  if (refusal.empty()) {
    const c10::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
    // Work on the default stream cannot be recorded as a graph.
    const c10::impl::VirtualGuardImpl guard(at::kCUDA);
    guard.exchangeStream(guard.getNewStream(device));
    return device;
  }
  if (word == "auto") return at::kCPU;
  throw_input_error("device {}: {}", word, refusal);
}

std::string device_note(const std::string& word) {
  if (word != "auto") return "";
  const std::string refusal = gpu_refusal(0);
  return refusal.empty() ? fmt::format("device auto: cuda:0, {}", device_name({at::kCUDA, 0}))
                         : fmt::format("device auto: cpu, {}", refusal);
}

std::string pci_address(c10::Device device) {
  constexpr int kMost = 32;
  char address[kMost] = "";
  if (device.is_cuda()) cudaDeviceGetPCIBusId(address, kMost, device.index());
  return address;
}

std::string device_name(c10::Device device) {
  if (device.is_cuda()) {
    cudaDeviceProp properties;
    const cudaError_t status = cudaGetDeviceProperties(&properties, device.index());
    return status == cudaSuccess ? properties.name : fmt::format("CUDA device {}", device.index());
  }
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return device.str();
}

}  // namespace kvbench
