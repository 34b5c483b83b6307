#include "kernels/flattened_counts/flattened_counts_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"
#include "kernels/flattened_counts/flattened_counts.h"

namespace kvbench {
namespace {

at::Tensor flattened_counts_of(const at::Tensor& scores, int64_t total, int64_t safe) {
  TORCH_CHECK(scores.dim() == 2 && scores.scalar_type() == at::kFloat,
              "scores: expected float32 [N, T], got ", scores.scalar_type(), " ", scores.sizes());
  TORCH_CHECK(safe >= 0 && scores.size(0) * safe <= total && total <= scores.numel(),
              "total and safe: expected N * safe <= total <= N * T of ", scores.sizes(), ", got ",
              total, " and ", safe);
  const at::Tensor contiguous = scores.contiguous();
  at::Tensor counts = at::empty({scores.size(0)}, scores.options().dtype(at::kInt));
  FlattenedCounts op;
  op.n_rows = scores.size(0);
  op.n_columns = scores.size(1);
  op.total = total;
  op.safe = safe;
  op.scores = contiguous.const_data_ptr<float>();
  op.counts = counts.mutable_data_ptr<int32_t>();
  launch(KVB_IMPLEMENTATIONS_WITH_WORKSPACE(flattened_counts), op, scores.device());
  return counts;
}

}  // namespace

at::Tensor flattened_counts(const at::Tensor& scores, int64_t total, int64_t safe) {
  static const auto op = find_operator<decltype(flattened_counts)>("kvbench::flattened_counts");
  return op.call(scores, total, safe);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def("flattened_counts(Tensor scores, int total, int safe) -> Tensor");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("flattened_counts", flattened_counts_of);
}

}  // namespace kvbench
