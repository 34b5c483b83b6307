// What the program does at its start to stay small.
#pragma once

namespace kvbench {

// Drops the pages that only the loading of LibTorch has read, and lets its CPU tensors be allocated
// without the holes that its own allocator leaves. Call it before the first tensor and thread.
void keep_memory_small();

}  // namespace kvbench
