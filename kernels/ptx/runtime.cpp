// Stand-in for the CUDA runtime: what objects made by nvcc and the tests call. Everything happens
// at once and in order, streams are names only, but for those that record (graphs.h).
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "kernels/ptx/graphs.h"
#include "kernels/ptx/launch.h"

namespace {

using kvbench::ptx::Dim;
using kvbench::ptx::do_or_record;
using kvbench::ptx::Engine;
using kvbench::ptx::Finding;
using kvbench::ptx::forbidden_in_recording;
using kvbench::ptx::LaunchResult;

struct Kernel {
  int module = 0;
  std::string name;
  uint32_t allowed_shared_bytes = 48 * 1024;
};

struct Configuration {
  dim3 grid, block;
  size_t shared_bytes = 0;
  cudaStream_t stream = nullptr;
};

struct Runtime {
  std::unordered_map<const void*, Kernel> kernels;  // by the host's stub
  std::unordered_map<const void*, std::pair<int, std::string>> variables;
  std::vector<Configuration> configurations;
  cudaError_t error = cudaSuccess;
};

Runtime& runtime() {
  static Runtime instance;
  return instance;
}

cudaError_t fail(cudaError_t error) { return runtime().error = error; }

// The PTX entry of a fat binary: header, then entries of a kind, sizes and a payload.
std::string_view ptx_of(const void* fat_binary_wrapper) {
  struct Wrapper {
    int magic, version;
    const uint8_t* data;
    void* file;
  };
  const uint8_t* data = static_cast<const Wrapper*>(fat_binary_wrapper)->data;
  const auto field = [](const uint8_t* at, auto value) {
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  const auto header = field(data + 6, uint16_t{});
  const auto total = field(data + 8, uint64_t{});
  for (uint64_t at = header; at < header + total;) {
    const auto kind = field(data + at, uint16_t{});
    const auto entry_header = field(data + at + 4, uint32_t{});
    const auto bytes = field(data + at + 8, uint64_t{});
    if (kind == 1) {
      const auto* text = reinterpret_cast<const char*>(data + at + entry_header);
      return {text, strnlen(text, bytes)};
    }
    at += entry_header + bytes;
  }
  return {};
}

void misuse(const std::string& detail, const char* check = "runtime misused") {
  Finding f;
  f.check = check;
  f.detail = detail;
  f.count = 1;
  Engine::get().finding(std::move(f));
}

cudaError_t launch_now(const Kernel& kernel, dim3 grid, dim3 block, void** arguments,
                       size_t shared_bytes) {
  switch (Engine::get().launch(kernel.module, kernel.name, {grid.x, grid.y, grid.z},
                               {block.x, block.y, block.z}, static_cast<uint32_t>(shared_bytes),
                               kernel.allowed_shared_bytes, arguments)) {
    case LaunchResult::kOk:
      return cudaSuccess;
    case LaunchResult::kBadConfiguration:
      return fail(cudaErrorInvalidConfiguration);
    case LaunchResult::kBadPtx:
      return fail(cudaErrorInvalidPtx);
    default:
      return fail(cudaErrorLaunchFailure);
  }
}

cudaError_t launch(const Kernel& kernel, dim3 grid, dim3 block, void** arguments,
                   size_t shared_bytes, cudaStream_t stream) {
  // A recording keeps the arguments' values.
  const auto* program = Engine::get().find(kernel.module, kernel.name);
  if (program == nullptr) return fail(cudaErrorInvalidPtx);
  std::vector<std::vector<uint8_t>> values;
  for (size_t n = 0; n < program->parameters.size(); ++n) {
    const auto* bytes = static_cast<const uint8_t*>(arguments[n]);
    values.emplace_back(bytes, bytes + program->parameters[n].bytes);
  }
  return do_or_record(stream, [&kernel, grid, block, shared_bytes, values]() mutable {
    std::vector<void*> pointers;
    for (auto& value : values) pointers.push_back(value.data());
    return launch_now(kernel, grid, block, pointers.data(), shared_bytes);
  });
}

// A call that no recording stands: made unless one is under way.
template <class F>
cudaError_t at_once(F&& call) {
  const cudaError_t status = forbidden_in_recording();
  return status == cudaSuccess ? call() : fail(status);
}

// Host copies: both ends in bounds, sources initialised.
cudaError_t copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (bytes == 0) return cudaSuccess;
  auto& arena = Engine::get().arena();
  const auto target = reinterpret_cast<uint64_t>(to), source = reinterpret_cast<uint64_t>(from);
  const bool to_device = arena.contains(target, bytes), from_device = arena.contains(source, bytes);
  const bool wants_to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool wants_from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind != cudaMemcpyDefault && (wants_to != to_device || wants_from != from_device)) {
    misuse("a copy of " + std::to_string(bytes) + " bytes in the wrong direction");
    return fail(cudaErrorInvalidValue);
  }
  const auto all = [&](uint64_t address, uint8_t state) -> int64_t {
    for (size_t n = 0; n < bytes; ++n) {
      if ((arena.state(address)[n] & state) != state) return static_cast<int64_t>(n);
    }
    return -1;
  };
  if (to_device) {
    if (const int64_t n = all(target, kvbench::ptx::kAllocated); n >= 0) {
      misuse("a copy to " + arena.describe(target + static_cast<uint64_t>(n)));
      return fail(cudaErrorInvalidValue);
    }
  }
  if (from_device) {
    if (const int64_t n = all(source, kvbench::ptx::kAllocated); n >= 0) {
      misuse("a copy from " + arena.describe(source + static_cast<uint64_t>(n)));
      return fail(cudaErrorInvalidValue);
    }
  }
  if (from_device && !to_device) {
    if (const int64_t n = all(source, kvbench::ptx::kWritten); n >= 0) {
      misuse("the host copies " + arena.describe(source + static_cast<uint64_t>(n)),
             "unwritten result");
    }
  }
  std::memmove(to, from, bytes);
  if (to_device && from_device) {
    std::memmove(arena.state(target), arena.state(source), bytes);
  } else if (from_device) {
    uint64_t& hash = Engine::get().read_hash;
    for (size_t n = 0; n < bytes; ++n) {
      hash = (hash ^ static_cast<const uint8_t*>(from)[n]) * 0x100000001b3ULL;  // FNV-1a
    }
  } else if (to_device) {
    std::memset(arena.state(target), kvbench::ptx::kWritten, bytes);
  }
  return cudaSuccess;
}

}  // namespace

extern "C" {

// ---- what nvcc's objects call ----

void** __cudaRegisterFatBinary(void* wrapper) {
  const std::string_view ptx = ptx_of(wrapper);
  return reinterpret_cast<void**>(static_cast<intptr_t>(Engine::get().add_module(ptx)) + 1);
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}

void __cudaRegisterFunction(void** module, const char* stub, char*, const char* name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  runtime().kernels[stub] = {static_cast<int>(reinterpret_cast<intptr_t>(module)) - 1, name};
}

void __cudaRegisterVar(void** module, char* host, char*, const char* name, int, size_t, int, int) {
  runtime().variables[host] = {static_cast<int>(reinterpret_cast<intptr_t>(module)) - 1, name};
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes,
                                     struct CUstream_st* stream) {
  runtime().configurations.push_back({grid, block, shared_bytes, stream});
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared_bytes,
                                       void* stream) {
  auto& all = runtime().configurations;
  if (all.empty()) return fail(cudaErrorMissingConfiguration);
  *grid = all.back().grid;
  *block = all.back().block;
  *shared_bytes = all.back().shared_bytes;
  *static_cast<cudaStream_t*>(stream) = all.back().stream;
  all.pop_back();
  return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* stub) {
  const auto found = runtime().kernels.find(stub);
  if (found == runtime().kernels.end()) return fail(cudaErrorInvalidDeviceFunction);
  *kernel = reinterpret_cast<cudaKernel_t>(&found->second);
  return cudaSuccess;
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               size_t shared_bytes, cudaStream_t stream) {
  return launch(*reinterpret_cast<Kernel*>(kernel), grid, block, arguments, shared_bytes, stream);
}

// ---- the runtime's own functions ----

cudaError_t cudaLaunchKernel(const void* stub, dim3 grid, dim3 block, void** arguments,
                             size_t shared_bytes, cudaStream_t stream) {
  const auto found = runtime().kernels.find(stub);
  if (found == runtime().kernels.end()) return fail(cudaErrorInvalidDeviceFunction);
  return launch(found->second, grid, block, arguments, shared_bytes, stream);
}

cudaError_t cudaGetLastError() { return std::exchange(runtime().error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return runtime().error; }
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaSuccess ? "no error" : "error of the PTX engine";
}
const char* cudaGetErrorName(cudaError_t error) { return cudaGetErrorString(error); }

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  return at_once([&] {
    *pointer = Engine::get().arena().allocate(bytes);
    return *pointer == nullptr ? fail(cudaErrorMemoryAllocation) : cudaSuccess;
  });
}
// The host may write it at any time, so that none of it counts as unwritten.
cudaError_t cudaMallocManaged(void** pointer, size_t bytes, unsigned) {
  const cudaError_t error = cudaMalloc(pointer, bytes);
  if (error != cudaSuccess || bytes == 0) return error;
  auto* state = Engine::get().arena().state(reinterpret_cast<uint64_t>(*pointer));
  std::memset(state, kvbench::ptx::kWritten, bytes);
  return error;
}
cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t) {
  return cudaMalloc(pointer, bytes);
}
cudaError_t cudaFree(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  const cudaError_t status = forbidden_in_recording();
  if (!Engine::get().arena().free(pointer)) {
    misuse("cudaFree of what is no allocation");
    return fail(cudaErrorInvalidValue);
  }
  return status == cudaSuccess ? status : fail(status);
}
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t) { return cudaFree(pointer); }
cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  *pointer = std::malloc(bytes);
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* pointer) {
  std::free(pointer);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  ++Engine::get().n_synchronisations;
  return at_once([&] { return copy(to, from, bytes, kind); });
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return do_or_record(stream, [=] { return copy(to, from, bytes, kind); });
}
cudaError_t cudaMemset(void* pointer, int value, size_t bytes) {
  auto& arena = Engine::get().arena();
  const auto address = reinterpret_cast<uint64_t>(pointer);
  if (bytes == 0) return cudaSuccess;
  const bool inside = arena.contains(address, bytes) &&
                      (*arena.state(address) & kvbench::ptx::kAllocated) != 0 &&
                      (*arena.state(address + bytes - 1) & kvbench::ptx::kAllocated) != 0;
  if (!inside) {
    misuse("a fill of what is no allocation");
    return fail(cudaErrorInvalidValue);
  }
  std::memset(pointer, value, bytes);
  std::memset(arena.state(address), kvbench::ptx::kWritten, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t stream) {
  return do_or_record(stream, [=] { return cudaMemset(pointer, value, bytes); });
}

cudaError_t cudaGetSymbolAddress(void** pointer, const void* host) {
  const auto found = runtime().variables.find(host);
  if (found == runtime().variables.end()) return fail(cudaErrorInvalidSymbol);
  const auto& [module, name] = found->second;
  *pointer = reinterpret_cast<void*>(Engine::get().variable(module, name));
  return *pointer == nullptr ? fail(cudaErrorInvalidSymbol) : cudaSuccess;
}
cudaError_t cudaMemcpyToSymbol(const void* host, const void* from, size_t bytes, size_t offset,
                               cudaMemcpyKind kind) {
  void* to = nullptr;
  const cudaError_t status = cudaGetSymbolAddress(&to, host);
  return status != cudaSuccess ? status
                               : cudaMemcpy(static_cast<char*>(to) + offset, from, bytes, kind);
}
cudaError_t cudaMemcpyFromSymbol(void* to, const void* host, size_t bytes, size_t offset,
                                 cudaMemcpyKind kind) {
  void* from = nullptr;
  const cudaError_t status = cudaGetSymbolAddress(&from, host);
  return status != cudaSuccess ? status
                               : cudaMemcpy(to, static_cast<char*>(from) + offset, bytes, kind);
}

cudaError_t cudaDeviceSynchronize() {
  ++Engine::get().n_synchronisations;
  return at_once([] { return runtime().error; });
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaDeviceSynchronize(); }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaDeviceSynchronize(); }
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = static_cast<cudaStream_t>(std::malloc(1));
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return cudaStreamCreate(stream);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  std::free(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
cudaError_t cudaStreamQuery(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = static_cast<cudaEvent_t>(std::malloc(1));
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return cudaEventCreate(event);
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  std::free(event);
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : fail(cudaErrorInvalidDevice);
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

// A device of compute capability 9.0 (H100 SXM), as far as launchers ask.
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = 132;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = 227 * 1024;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = 48 * 1024;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = 228 * 1024;
      return cudaSuccess;
    case cudaDevAttrMaxThreadsPerBlock:
      *value = 1024;
      return cudaSuccess;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = 2048;
      return cudaSuccess;
    case cudaDevAttrWarpSize:
      *value = 32;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      return cudaSuccess;
    default:
      misuse("device attribute " + std::to_string(attribute));
      return fail(cudaErrorInvalidValue);
  }
}

cudaError_t cudaFuncSetAttribute(const void* stub, cudaFuncAttribute attribute, int value) {
  const auto found = runtime().kernels.find(stub);
  if (found == runtime().kernels.end()) return fail(cudaErrorInvalidDeviceFunction);
  if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
    Kernel& kernel = found->second;
    const auto* program = Engine::get().find(kernel.module, kernel.name);
    if (program == nullptr) return fail(cudaErrorInvalidPtx);
    const int64_t total = int64_t{value} + program->shared_bytes;
    if (value < 0 || total > 227 * 1024) return fail(cudaErrorInvalidValue);
    kernel.allowed_shared_bytes =
        std::max(kernel.allowed_shared_bytes, static_cast<uint32_t>(total));
  } else if (attribute != cudaFuncAttributePreferredSharedMemoryCarveout) {
    return fail(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

// By threads and shared memory; registers are not known here.
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* stub,
                                                                   int threads, size_t shared_bytes,
                                                                   unsigned) {
  const auto found = runtime().kernels.find(stub);
  if (found == runtime().kernels.end()) return fail(cudaErrorInvalidDeviceFunction);
  const auto* program = Engine::get().find(found->second.module, found->second.name);
  if (program == nullptr) return fail(cudaErrorInvalidPtx);
  const size_t shared = shared_bytes + program->shared_bytes + 1024;
  const size_t warps = (static_cast<size_t>(threads) + 31) / 32;
  *blocks = static_cast<int>(std::min({size_t{32}, 64 / warps, size_t{228 * 1024} / shared}));
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* stub,
                                                          int threads, size_t shared_bytes) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, stub, threads, shared_bytes,
                                                                0);
}

}  // extern "C"
