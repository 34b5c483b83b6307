// The middle of a gated MLP: out[r, i] = act(gate[r, i]) * up[r, i] (Shazeer, arXiv 2002.05202).
//
// act is SiLU, x * sigmoid(x), or GELU in its tanh form, which is x * sigmoid(2 u) with
// u = sqrt(2 / pi) (x + 0.044715 x^3). It is rounded to the dtype before the product, as the models
// were trained. Every element is computed alike wherever it lies, which vectorised loops with a
// scalar rest do not promise.
#pragma once

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"

namespace kvbench {

struct GatedActivation {
  enum class Kind { kSilu, kGeluTanh };

  int64_t n_rows = 0, n_columns = 0;
  Kind kind = Kind::kSilu;
  DType dtype = DType::kFloat32;
  const void* gate_up = nullptr;  // [n_rows, 2 * n_columns] contiguous: gate, then up
  void* out = nullptr;            // [n_rows, n_columns]
};

// In double.
void gated_activation_reference(const GatedActivation& op);

void gated_activation_cpu(const GatedActivation& op);

CudaStatus gated_activation_cuda(const GatedActivation& op, CudaStream stream);

}  // namespace kvbench
