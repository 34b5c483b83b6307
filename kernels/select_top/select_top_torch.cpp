#include "kernels/select_top/select_top_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"
#include "kernels/select_top/select_top.h"

namespace kvbench {
namespace {

std::tuple<at::Tensor, at::Tensor, at::Tensor> top_positions_of(const at::Tensor& scores,
                                                                const at::Tensor& counts,
                                                                int64_t at_most, int64_t sink,
                                                                int64_t recent) {
  TORCH_CHECK(scores.dim() == 2 && scores.scalar_type() == at::kFloat,
              "scores: expected float32 [H, T], got ", scores.scalar_type(), " ", scores.sizes());
  check_index(counts, "counts", at::kInt, {scores.size(0)}, scores.device());
  TORCH_CHECK(at_most >= 0 && sink >= 0 && recent >= 0,
              "at_most, sink and recent: expected 0 or more, got ", at_most, ", ", sink, ", ",
              recent);
  const at::Tensor contiguous = scores.contiguous();
  const int64_t n_heads = scores.size(0);
  const auto options = counts.options();
  at::Tensor positions = at::empty({at_most}, options), offsets = at::empty({n_heads + 1}, options),
             invalid = at::empty({n_heads}, options);
  SelectTop op;
  op.n_heads = n_heads;
  op.n_tokens = scores.size(1);
  op.sink = sink;
  op.recent = recent;
  op.scores = contiguous.const_data_ptr<float>();
  op.counts = counts.const_data_ptr<int32_t>();
  op.n_positions = at_most;
  op.positions = positions.mutable_data_ptr<int32_t>();
  op.offsets = offsets.mutable_data_ptr<int32_t>();
  op.invalid = invalid.mutable_data_ptr<int32_t>();
  launch(KVB_IMPLEMENTATIONS(select_top), op, scores.device());
  return {positions, offsets, invalid};
}

}  // namespace

std::tuple<at::Tensor, at::Tensor, at::Tensor> top_positions(const at::Tensor& scores,
                                                             const at::Tensor& counts,
                                                             int64_t at_most, int64_t sink,
                                                             int64_t recent) {
  static const auto op = find_operator<decltype(top_positions)>("kvbench::top_positions");
  return op.call(scores, counts, at_most, sink, recent);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def(
      "top_positions(Tensor scores, Tensor counts, int at_most, int sink=0, int recent=0) -> "
      "(Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("top_positions", top_positions_of);
}

}  // namespace kvbench
