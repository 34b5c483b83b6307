// Copies from global to shared memory that run while the block computes (cp.async).
#pragma once

#include <cuda_runtime.h>

namespace kvbench {

// 16 bytes, or as many zeros in place of what is not there.
__device__ inline void copy_pack_async(void* to_shared, const void* from_global, bool is_there) {
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(to_shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from_global),
               "r"(is_there ? 16 : 0)
               : "memory");
}

// Ends a batch of this thread's copies.
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits for this thread's batches but the latest kPending.
template <int kPending>
__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

}  // namespace kvbench
