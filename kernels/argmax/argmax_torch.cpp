#include "kernels/argmax/argmax_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/argmax/argmax.h"
#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"

namespace kvbench {
namespace {

void argmax_into(const at::Tensor& logits, const at::Tensor& workspace, const at::Tensor& ids) {
  TORCH_CHECK(logits.dim() == 2 && logits.size(1) > 0 && logits.scalar_type() == at::kFloat,
              "logits: expected float32 [S, vocab], got ", logits.scalar_type(), " ",
              logits.sizes());
  check_out(ids, "ids", {logits.size(0)}, logits, at::kLong);
  const at::Tensor rows = logits.contiguous();
  Argmax op;
  op.n_rows = logits.size(0);
  op.n_columns = logits.size(1);
  op.logits = rows.const_data_ptr<float>();
  op.ids = ids.mutable_data_ptr<int64_t>();
  launch(KVB_IMPLEMENTATIONS_WITH_WORKSPACE(argmax), op, logits.device(), workspace);
}

at::Tensor argmax_of(const at::Tensor& logits) {
  at::Tensor ids = at::empty({logits.size(0)}, logits.options().dtype(at::kLong));
  argmax_into(logits, at::Tensor(), ids);
  return ids;
}

}  // namespace

at::Tensor argmax_lowest(const at::Tensor& logits) {
  static const auto op = find_operator<decltype(argmax_lowest)>("kvbench::argmax_lowest");
  return op.call(logits);
}

void argmax_lowest_out(const at::Tensor& logits, const at::Tensor& workspace,
                       const at::Tensor& ids) {
  static const auto op =
      find_operator<decltype(argmax_lowest_out)>("kvbench::argmax_lowest", "out");
  op.call(logits, workspace, ids);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def("argmax_lowest(Tensor logits) -> Tensor");
  library.def("argmax_lowest.out(Tensor logits, Tensor(a!) workspace, *, Tensor(b!) ids) -> ()");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("argmax_lowest", argmax_of);
  library.impl("argmax_lowest.out", argmax_into);
}

}  // namespace kvbench
