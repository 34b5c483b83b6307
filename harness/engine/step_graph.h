// Work that a GPU's stream has been given once, to be given again by a single call of the host: a
// CUDA graph.
#pragma once

#include <c10/core/Device.h>

#include <functional>

#include "kernels/common/stream.h"

struct CUgraphExec_st;

namespace kvbench {

class StepGraph {
 public:
  // Records what `work` puts on LibTorch's current stream of `device`, which must not be the
  // default one; nothing of it runs. It must have run before, so that kernels are loaded and
  // libraries have their scratch memory. Throws what `work` throws, and std::runtime_error when it
  // cannot be recorded: it waits, works on another stream, or takes memory, which would belong to
  // others when the graph runs.
  StepGraph(c10::Device device, const std::function<void()>& work);
  ~StepGraph();
  StepGraph(const StepGraph&) = delete;

  // Puts it on the current stream. What it reads and writes lies where it lay.
  void launch() const;

 private:
  c10::Device device_;
  CUgraphExec_st* graph_ = nullptr;
};

}  // namespace kvbench
