#include "kernels/cache_append.h"
#include "kernels/cache_attention.h"
#include "kernels/cache_gather.h"
#include "kernels/flattened_counts.h"
#include "kernels/select_top.h"
namespace kvbench {
CudaStatus cache_append_cuda(const CacheAppend&, CudaStream) { return 801; }
CudaStatus cache_gather_cuda(const CacheGather&, CudaStream) { return 801; }
CudaStatus cache_attention_cuda(const CacheAttention&, CudaStream) { return 801; }
size_t cache_attention_workspace_bytes(const CacheAttention&) { return 0; }
CudaStatus select_top_cuda(const SelectTop&, CudaStream) { return 801; }
CudaStatus flattened_counts_cuda(const FlattenedCounts&, CudaStream) { return 801; }
size_t flattened_counts_workspace_bytes(const FlattenedCounts&) { return 0; }
}
