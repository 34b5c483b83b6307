// Where a forward pass puts what its operators make. Those of a decode step are kept, so that from
// the second step of the same sequences on nothing is allocated and no address changes: what a CUDA
// graph of the step needs.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <map>

#include "harness/model/rope.h"

namespace kvbench {

class Buffers {
 public:
  enum Name {
    kTokens,
    kCos,
    kSin,
    kLocalCos,
    kLocalSin,
    kHidden,
    kNormed,
    kQkv,
    kQueries,
    kKeys,
    kNormedQueries,
    kAttended,
    kChange,
    kNormedChange,
    kGateUp,
    kActivated,
    kLogits,
    kFloatLogits,
    kCount
  };

  // kept: get() gives the same memory for the same name, sizes and dtype; else new memory.
  explicit Buffers(bool kept) : kept_(kept) {}

  // Contiguous, on `device`, its values undefined.
  at::Tensor get(Name name, at::IntArrayRef sizes, at::ScalarType dtype, c10::Device device);

  // The rows of the positions below `end`, or more of them, held as long as this lives.
  const RopeAngles& rows(const RopeTable& table, int64_t end);

  // Scratch memory of operators, uint8 [n], that grows as they want; undefined when nothing is
  // kept.
  const at::Tensor& workspace(c10::Device device);

  // Another number once an address has changed; but for the scratch memory, which the first pass
  // over some sequences grows to its size.
  int64_t version() const { return version_; }

 private:
  bool kept_;
  std::array<at::Tensor, kCount> tensors_;
  std::map<const RopeTable*, RopeAngles> rows_;
  at::Tensor workspace_;
  int64_t version_ = 0;
};

}  // namespace kvbench
