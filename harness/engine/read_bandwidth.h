// How fast memory is read: the yardstick of what is bound by it.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>

namespace kvbench {

// Bytes per second of the fastest of several reads of as many bytes (at most 1 GiB), on a CPU by
// LibTorch's threads, on an accelerator by its sum. Pass what a decode step reads: what fits into a
// cache there does so here. The memory is given back.
double read_bandwidth(c10::Device device, int64_t bytes);

}  // namespace kvbench
