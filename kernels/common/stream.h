// What the launchers of CUDA kernels (<op>_cuda.cu) take and return, without CUDA's headers.
//
// A launcher puts its kernels on the stream that it is given and returns: it never waits, allocates
// or copies, so that a step of them can be captured as a CUDA graph. Scratch memory comes from the
// caller: <op>_workspace_bytes() of it. Every pointer of an operator is the device's then.
#pragma once

struct CUstream_st;

namespace kvbench {

using CudaStream = CUstream_st*;  // a cudaStream_t
using CudaStatus = int;           // a cudaError_t: 0 is success

}  // namespace kvbench
