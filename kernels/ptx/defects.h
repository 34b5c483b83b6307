// Kernels with a planted defect, one for each check of the engine, and their right twins.
#pragma once

#include <cstdint>
#include <vector>

namespace kvbench::ptx {

struct DefectArguments {
  const float* in = nullptr;  // [256], value i at i
  float* out = nullptr;       // [256], not written
  int* counters = nullptr;    // [4], zeros
  const float* host = nullptr;
  const float* freed = nullptr;  // [256], freed
};

struct Defect {
  const char* name;
  const char* check;  // what the engine must find in the planted one
  unsigned blocks, threads, shared_bytes;
  void (*planted)(DefectArguments);
  void (*right)(DefectArguments);
};

const std::vector<Defect>& defects();

// Puts the kernel on the stream; returns a cudaError_t.
int launch_defect(const Defect& defect, bool planted, const DefectArguments& arguments);

// A block of that many threads and dynamic shared bytes; `allow` raises the limit first.
int launch_limits(unsigned blocks_y, unsigned threads, unsigned shared_bytes, bool allow);

}  // namespace kvbench::ptx
