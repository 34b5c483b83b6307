#include "kernels/keydiff_scores/keydiff_scores_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/key_scores_torch.h"
#include "kernels/keydiff_scores/keydiff_scores.h"

namespace kvbench {
namespace {

at::Tensor keydiff_scores_of(const at::Tensor& keys) {
  return scores_of_keys<KeydiffScores>(KVB_IMPLEMENTATIONS_WITH_WORKSPACE(keydiff_scores), keys);
}

}  // namespace

at::Tensor keydiff_scores(const at::Tensor& keys) {
  static const auto op = find_operator<decltype(keydiff_scores)>("kvbench::keydiff_scores");
  return op.call(keys);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) { library.def("keydiff_scores(Tensor keys) -> Tensor"); }

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("keydiff_scores", keydiff_scores_of);
}

}  // namespace kvbench
