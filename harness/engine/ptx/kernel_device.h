// A device for tests: LibTorch's CPU tensors, whose operators of ours are served by their CUDA
// kernels, executed by kernels/ptx. LibTorch's own operators stand in for its CUDA kernels.
#pragma once

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <gtest/gtest.h>

#include "kernels/common/stream.h"

namespace kvbench {

// Whether the kernels serve, and on which stream they and LibTorch's operators then work.
inline bool runs_kernels = false;
extern CudaStream kernel_stream;

class KernelDevice : public testing::Test {
 protected:
  // Tensors lie in memory that kernels may touch, each with its bounds watched.
  static void SetUpTestSuite();
  ~KernelDevice() override { runs_kernels = false; }

 private:
  // So that LibTorch's operators that write are put on the stream like kernels, which may record.
  const c10::impl::IncludeDispatchKeyGuard on_stream_{c10::DispatchKey::TESTING_ONLY_GenericMode};
};

}  // namespace kvbench
