#include "policies/lukv/oracle.h"

#include <ATen/ATen.h>

#include "kernels/projected_value_norms/projected_value_norms_torch.h"

namespace kvbench::lukv {

at::Tensor value_norms(const LayerView& layer, OracleNorm norm) {
  at::Tensor norms = projected_value_norms(layer.values, layer.output_weight, 2);  // [Hq, T]
  if (norm == OracleNorm::kLayer) norms.div_(norms.sum(at::kDouble) + 1e-9);
  return norms;
}

}  // namespace kvbench::lukv
