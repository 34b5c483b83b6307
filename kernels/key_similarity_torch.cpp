#include "kernels/key_similarity_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/checks_torch.h"
#include "kernels/key_similarity.h"
#include "kernels/launch_torch.h"

namespace kvbench {
namespace {

at::Tensor key_similarity_of(const at::Tensor& keys) {
  check_head_rows(keys, "keys");
  const at::Tensor rows = with_whole_rows(keys);
  at::Tensor out = at::empty({keys.size(0), keys.size(1)}, keys.options().dtype(at::kFloat));
  KeySimilarity op;
  op.n_heads = keys.size(0);
  op.n_rows = keys.size(1);
  op.head_dim = keys.size(2);
  op.dtype = dtype_of(keys);
  op.keys = head_rows(rows);
  op.out = out.mutable_data_ptr<float>();
  launch(KVB_IMPLEMENTATIONS_WITH_WORKSPACE(key_similarity), op, keys.device());
  return out;
}

}  // namespace

at::Tensor key_similarity(const at::Tensor& keys) {
  static const auto op = find_operator<decltype(key_similarity)>("kvbench::key_similarity");
  return op.call(keys);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) { library.def("key_similarity(Tensor keys) -> Tensor"); }

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("key_similarity", key_similarity_of);
}

}  // namespace kvbench
