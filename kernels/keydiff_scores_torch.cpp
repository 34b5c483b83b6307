#include "kernels/keydiff_scores_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/checks_torch.h"
#include "kernels/keydiff_scores.h"
#include "kernels/launch_torch.h"

namespace kvbench {
namespace {

at::Tensor keydiff_scores_of(const at::Tensor& keys) {
  check_head_rows(keys, "keys");
  const at::Tensor rows = with_whole_rows(keys);
  at::Tensor out = at::empty({keys.size(0), keys.size(1)}, keys.options().dtype(at::kFloat));
  KeydiffScores op;
  op.n_heads = keys.size(0);
  op.n_rows = keys.size(1);
  op.head_dim = keys.size(2);
  op.dtype = dtype_of(keys);
  op.keys = head_rows(rows);
  op.out = out.mutable_data_ptr<float>();
  launch(KVB_IMPLEMENTATIONS_WITH_WORKSPACE(keydiff_scores), op, keys.device());
  return out;
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
