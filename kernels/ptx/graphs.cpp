#include "kernels/ptx/graphs.h"

#include <unordered_map>
#include <utility>
#include <vector>

namespace {

using Nodes = std::vector<std::function<cudaError_t()>>;

struct Recording {
  Nodes nodes;
  bool lost = false;
};

std::unordered_map<cudaStream_t, Recording>& recordings() {
  static std::unordered_map<cudaStream_t, Recording> all;
  return all;
}

}  // namespace

namespace kvbench::ptx {

cudaError_t do_or_record(cudaStream_t stream, std::function<cudaError_t()> work) {
  const auto found = recordings().find(stream);
  if (found == recordings().end()) return work();
  found->second.nodes.push_back(std::move(work));
  return cudaSuccess;
}

cudaError_t forbidden_in_recording() {
  for (auto& [stream, recording] : recordings()) recording.lost = true;
  return recordings().empty() ? cudaSuccess : cudaErrorStreamCaptureUnsupported;
}

}  // namespace kvbench::ptx

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream == nullptr) return cudaErrorStreamCaptureUnsupported;  // the default one
  return recordings().try_emplace(stream).second ? cudaSuccess : cudaErrorIllegalState;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  const auto found = recordings().find(stream);
  if (found == recordings().end()) return cudaErrorIllegalState;
  const Recording recording = std::move(found->second);
  recordings().erase(found);
  if (recording.lost) return cudaErrorStreamCaptureInvalidated;
  *graph = reinterpret_cast<cudaGraph_t>(new Nodes(recording.nodes));
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  *executable = reinterpret_cast<cudaGraphExec_t>(new Nodes(*reinterpret_cast<Nodes*>(graph)));
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return kvbench::ptx::do_or_record(stream, [executable] {
    cudaError_t status = cudaSuccess;
    for (const auto& node : *reinterpret_cast<Nodes*>(executable)) {
      if (status == cudaSuccess) status = node();
    }
    return status;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete reinterpret_cast<Nodes*>(graph);
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete reinterpret_cast<Nodes*>(executable);
  return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return kvbench::ptx::do_or_record(stream, [function, data] {
    function(data);
    return cudaSuccess;
  });
}

}  // extern "C"
