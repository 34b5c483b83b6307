#include <cmath>

#include "kernels/argmax/argmax.h"

namespace kvbench {

void argmax_reference(const Argmax& op) {
  for (int64_t r = 0; r < op.n_rows; ++r) {
    const float* logits = op.logits + r * op.n_columns;
    int64_t best = 0;
    for (int64_t v = 0; v < op.n_columns && best >= 0; ++v) {
      if (std::isnan(logits[v])) {
        best = -1;
      } else if (logits[v] > logits[best]) {
        best = v;
      }
    }
    op.ids[r] = best;
  }
}

}  // namespace kvbench
