// CUDA graphs in the stand-in for the runtime: a stream that records does nothing; what it was
// given is done when the graph is launched.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>

namespace kvbench::ptx {

// Does `work` now, or, when the stream records, later. Returns what it returns, or success.
cudaError_t do_or_record(cudaStream_t stream, std::function<cudaError_t()> work);

// What may not happen while any stream records, as it would not be part of the graph: waits, and
// taking or giving back memory. Success when none does; else the recording is lost.
cudaError_t forbidden_in_recording();

}  // namespace kvbench::ptx
