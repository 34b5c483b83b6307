#include "harness/engine/step_graph.h"

#include <ATen/ATen.h>
#include <cuda_runtime_api.h>

#include <exception>
#include <stdexcept>

#include "harness/base/error.h"
#include "kernels/common/launch_torch.h"

namespace kvbench {
namespace {

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // told once
  throw std::runtime_error(fmt::format("{}: {}", what, cudaGetErrorString(status)));
}

// That were asked of LibTorch's allocator since the process began.
int64_t n_allocations(c10::Device device) {
  if (!device.is_cuda()) return 0;
  constexpr size_t kAll = 0;  // StatType::AGGREGATE
  const auto stats = at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  return stats.allocation[kAll].allocated;
}

}  // namespace

StepGraph::StepGraph(c10::Device device, const std::function<void()>& work) : device_(device) {
  const c10::DeviceGuard guard(device);
  const CudaStream stream = current_stream(device);
  const int64_t before = n_allocations(device);
  // Other threads may go on meanwhile.
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "recording a step");
  std::exception_ptr thrown;
  try {
    work();
  } catch (...) {
    thrown = std::current_exception();
  }
  cudaGraph_t recorded = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(stream, &recorded);
  const int64_t n_allocated = n_allocations(device) - before;
  cudaError_t status = ended;
  if (!thrown && ended == cudaSuccess && n_allocated == 0) {
    status = cudaGraphInstantiate(&graph_, recorded, 0);
  }
  if (recorded != nullptr) cudaGraphDestroy(recorded);
  if (thrown) {
    cudaGetLastError();
    std::rethrow_exception(thrown);
  }
  check(ended, "a recorded step");
  if (n_allocated > 0) {
    throw std::runtime_error(fmt::format("a recorded step took memory {} times", n_allocated));
  }
  check(status, "the graph of a step");
}

StepGraph::~StepGraph() { cudaGraphExecDestroy(graph_); }

void StepGraph::launch() const {
  const c10::DeviceGuard guard(device_);
  check(cudaGraphLaunch(graph_, current_stream(device_)), "the graph of a step");
}

}  // namespace kvbench
