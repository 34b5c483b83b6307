#include "harness/engine/ptx/kernel_device.h"

#include <ATen/ATen.h>
#include <cuda_runtime_api.h>
#include <torch/library.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "harness/engine/tiny_model.h"
#include "kernels/common/launch_torch.h"

namespace kvbench {
namespace {

constexpr auto kMode = c10::DispatchKey::TESTING_ONLY_GenericMode;

class KernelMemory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t n) override {
    void* data = nullptr;
    if (n > 0 && cudaMallocManaged(&data, n, cudaMemAttachGlobal) != cudaSuccess) {
      TORCH_CHECK(false, "no memory for a tensor of ", n, " bytes");
    }
    return {data, data, &release, at::Device(at::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t n) const override {
    default_copy_data(to, from, n);
  }

 private:
  static void release(void* data) { cudaFree(data); }
};

// An operator of LibTorch, or of ours without a kernel, and its arguments.
struct Call {
  c10::OperatorHandle op;
  c10::DispatchKeySet keys;
  torch::jit::Stack arguments;

  void run() const {
    const c10::impl::ExcludeDispatchKeyGuard below(kMode);
    const c10::InferenceMode no_autograd;
    torch::jit::Stack stack = arguments;
    op.redispatchBoxed(keys, &stack);
  }
};

bool writes(const c10::FunctionSchema& schema) {
  const bool is_ours =
      schema.name() == "kvbench::packed_linear" || schema.name() == "kvbench::packed_rows";
  const bool is_libtorchs = schema.name().starts_with("aten::") && schema.name() != "aten::resize_";
  return (is_ours || is_libtorchs) &&
         std::any_of(schema.arguments().begin(), schema.arguments().end(), [](const auto& each) {
           return each.alias_info() != nullptr && each.alias_info()->isWrite();
         });
}

// What writes goes onto the stream; what reads a value waits for it; the rest happens at once.
void put_on_stream(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
                   torch::jit::Stack* stack) {
  keys = keys & c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, kMode);
  const c10::FunctionSchema& schema = op.schema();
  if (!runs_kernels || !writes(schema)) {
    if (runs_kernels && schema.name() == "aten::_local_scalar_dense") cudaDeviceSynchronize();
    const c10::impl::ExcludeDispatchKeyGuard below(kMode);
    op.redispatchBoxed(keys, stack);
    return;
  }
  static std::vector<std::unique_ptr<Call>> calls;  // those of graphs live as long as these
  calls.push_back(std::make_unique<Call>(Call{op, keys, *stack}));
  cudaLaunchHostFunc(
      kernel_stream, [](void* call) { static_cast<const Call*>(call)->run(); }, calls.back().get());
  // It returns the arguments that it writes.
  torch::jit::Stack returned;
  for (const auto& result : schema.returns()) {
    for (size_t i = 0; i < schema.arguments().size(); ++i) {
      const auto* alias = schema.arguments()[i].alias_info();
      if (alias != nullptr && *alias == *result.alias_info()) returned.push_back(stack->at(i));
    }
  }
  *stack = std::move(returned);
}

TORCH_LIBRARY_IMPL(_, TESTING_ONLY_GenericMode, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&put_on_stream>());
}

CudaStream new_stream() {
  cudaStream_t stream = nullptr;
  cudaStreamCreate(&stream);
  return stream;
}

}  // namespace

CudaStream kernel_stream = new_stream();

// Instead of those that ask for a GPU (kernels/common/launch_torch.h).
bool served_by_cuda(c10::Device) { return runs_kernels; }
CudaStream current_stream(c10::Device) { return kernel_stream; }

void KernelDevice::SetUpTestSuite() {
  static KernelMemory memory;
  c10::SetCPUAllocator(&memory, 1);
  tiny_model();  // its weights in the same memory
}

}  // namespace kvbench
