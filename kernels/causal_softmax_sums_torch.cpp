#include "kernels/causal_softmax_sums_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/causal_softmax_sums.h"
#include "kernels/checks_torch.h"

namespace kvbench {
namespace {

void check_causal_logits(const at::Tensor& logits) {
  TORCH_CHECK(
      logits.dim() == 3 && logits.scalar_type() == at::kFloat && logits.size(1) <= logits.size(2),
      "logits: expected float32 [heads, queries, keys], queries <= keys, got ",
      logits.scalar_type(), " ", logits.sizes());
}

at::Tensor causal_softmax_sums_on_cpu(const at::Tensor& logits) {
  check_causal_logits(logits);
  const at::Tensor contiguous = logits.contiguous();
  at::Tensor out = at::empty({logits.size(0), logits.size(2)}, logits.options());
  CausalSoftmaxSums op;
  op.n_heads = logits.size(0);
  op.n_queries = logits.size(1);
  op.n_keys = logits.size(2);
  op.logits = contiguous.const_data_ptr<float>();
  op.out = out.mutable_data_ptr<float>();
  causal_softmax_sums_cpu(op);
  return out;
}

}  // namespace

at::Tensor causal_softmax_sums_composite(const at::Tensor& logits) {
  check_causal_logits(logits);
  const int64_t n_queries = logits.size(1), n_keys = logits.size(2);
  const at::Tensor future =
      at::ones({n_queries, n_keys}, logits.options().dtype(at::kBool)).triu(n_keys - n_queries + 1);
  return logits.masked_fill(future, -INFINITY).softmax(-1).sum(1);
}

at::Tensor causal_softmax_sums(const at::Tensor& logits) {
  static const auto op =
      find_operator<decltype(causal_softmax_sums)>("kvbench::causal_softmax_sums");
  return op.call(logits);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def("causal_softmax_sums(Tensor logits) -> Tensor");
}

TORCH_LIBRARY_IMPL(kvbench, CPU, library) {
  library.impl("causal_softmax_sums", causal_softmax_sums_on_cpu);
}

// Devices without a kernel of their own.
TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("causal_softmax_sums", causal_softmax_sums_composite);
}

}  // namespace kvbench
