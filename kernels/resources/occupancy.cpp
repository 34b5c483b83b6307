// Blocks on a multiprocessor as cuda_occupancy.h of the CUDA toolkit tells them, for resources.py
// to compare its own arithmetic with. A line of stdin is a case: compute capability without its
// dot, warps and bytes of shared memory of a multiprocessor, registers of a thread, threads and
// bytes of shared memory of a block.
#include <cuda_runtime_api.h>
// It knows cudaDeviceProp by the runtime's header.
#include <cuda_occupancy.h>

#include <iostream>

int main() {
  int capability, warps, registers, threads;
  size_t sm_shared_bytes, shared_bytes;
  while (std::cin >> capability >> warps >> sm_shared_bytes >> registers >> threads >>
         shared_bytes) {
    cudaOccDeviceProp device;
    device.computeMajor = capability / 10;
    device.computeMinor = capability % 10;
    device.maxThreadsPerBlock = 1024;
    device.maxThreadsPerMultiprocessor = warps * 32;
    device.regsPerBlock = device.regsPerMultiprocessor = 65536;
    device.warpSize = 32;
    device.sharedMemPerBlock = 48 << 10;
    device.sharedMemPerMultiprocessor = sm_shared_bytes;
    device.numSms = 1;
    device.reservedSharedMemPerBlock = 1 << 10;
    device.sharedMemPerBlockOptin = sm_shared_bytes - device.reservedSharedMemPerBlock;

    cudaOccFuncAttributes kernel;
    kernel.maxThreadsPerBlock = 1024;
    kernel.numRegs = registers;
    kernel.sharedSizeBytes = 0;
    kernel.partitionedGCConfig = PARTITIONED_GC_OFF;
    kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
    kernel.maxDynamicSharedSizeBytes = device.sharedMemPerBlockOptin;
    kernel.numBlockBarriers = 1;

    cudaOccDeviceState state;
    state.carveoutConfig = SHAREDMEM_CARVEOUT_MAX_SHARED;
    cudaOccResult result = {};
    const cudaOccError status = cudaOccMaxActiveBlocksPerMultiprocessor(
        &result, &device, &kernel, &state, threads, shared_bytes);
    std::cout << (status == CUDA_OCC_SUCCESS ? result.activeBlocksPerMultiprocessor : -1) << '\n';
  }
}
