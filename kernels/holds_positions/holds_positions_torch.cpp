#include "kernels/holds_positions/holds_positions_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"
#include "kernels/holds_positions/holds_positions.h"

namespace kvbench {
namespace {

// Only the host's own memory can be looked at without a wait.
void check_offsets(const HoldsPositions& op) {
  TORCH_CHECK(op.offsets[0] == 0 && op.offsets[op.n_heads] <= op.n_positions,
              "offsets must run from 0 to at most the number of positions, ", op.n_positions);
  for (int64_t h = 0; h < op.n_heads; ++h) {
    TORCH_CHECK(op.offsets[h] <= op.offsets[h + 1], "offsets fall behind head ", h);
  }
}

at::Tensor holds_positions_of(const at::Tensor& positions, const at::Tensor& offsets,
                              const at::Tensor& wanted) {
  const auto device = positions.device();
  TORCH_CHECK(offsets.numel() > 0, "offsets: expected [H + 1], got ", offsets.sizes());
  check_index(positions, "positions", at::kInt, {positions.numel()}, device);
  check_index(offsets, "offsets", at::kInt, {offsets.numel()}, device);
  check_index(wanted, "wanted", at::kInt, {wanted.numel()}, device);
  HoldsPositions op;
  op.n_heads = offsets.numel() - 1;
  op.n_positions = positions.numel();
  op.n_wanted = wanted.numel();
  at::Tensor out = at::empty({op.n_heads, op.n_wanted}, positions.options().dtype(at::kByte));
  op.positions = positions.const_data_ptr<int32_t>();
  op.offsets = offsets.const_data_ptr<int32_t>();
  op.wanted = wanted.const_data_ptr<int32_t>();
  op.out = out.mutable_data_ptr<uint8_t>();
  if (!served_by_cuda(device)) check_offsets(op);
  launch(KVB_IMPLEMENTATIONS(holds_positions), op, device);
  return out;
}

}  // namespace

at::Tensor holds_positions(const at::Tensor& positions, const at::Tensor& offsets,
                           const at::Tensor& wanted) {
  static const auto op = find_operator<decltype(holds_positions)>("kvbench::holds_positions");
  return op.call(positions, offsets, wanted);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def("holds_positions(Tensor positions, Tensor offsets, Tensor wanted) -> Tensor");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("holds_positions", holds_positions_of);
}

}  // namespace kvbench
