#include "kernels/key_similarity/key_similarity_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/key_scores_torch.h"
#include "kernels/key_similarity/key_similarity.h"

namespace kvbench {
namespace {

at::Tensor key_similarity_of(const at::Tensor& keys) {
  return scores_of_keys<KeySimilarity>(KVB_IMPLEMENTATIONS_WITH_WORKSPACE(key_similarity), keys);
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
