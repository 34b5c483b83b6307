// kernels/decode_plan/decode_plan.h for Python, torch.ops.kvbench.decode_plan: of lengths int64 [S,
// H] the items int32 [n_items, 4] and first_items int32 [S * H + 1] that cache_attention takes, all
// on the CPU.
#include <ATen/ATen.h>
#include <torch/library.h>

#include <cstring>
#include <tuple>

#include "kernels/common/checks_torch.h"
#include "kernels/decode_plan/decode_plan.h"

namespace kvbench {
namespace {

std::tuple<at::Tensor, at::Tensor> decode_plan_of(const at::Tensor& lengths, int64_t n_items) {
  TORCH_CHECK(lengths.dim() == 2, "lengths: expected int64 [S, H], got ", lengths.sizes());
  check_index(lengths, "lengths", at::kLong, lengths.sizes(), at::kCPU);
  TORCH_CHECK(n_items >= lengths.numel(), "n_items: expected ", lengths.numel(), " or more, got ",
              n_items);
  const DecodePlan plan =
      decode_plan({lengths.const_data_ptr<int64_t>(), static_cast<size_t>(lengths.numel())},
                  lengths.size(1), n_items);
  static_assert(sizeof(DecodeItem) == 4 * sizeof(int32_t));
  at::Tensor items = at::empty({n_items, 4}, at::kInt);
  std::memcpy(items.mutable_data_ptr(), plan.items.data(), items.nbytes());
  return {items, at::tensor(plan.first_items, at::kInt)};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def("decode_plan(Tensor lengths, int n_items) -> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(kvbench, CPU, library) { library.impl("decode_plan", decode_plan_of); }

}  // namespace kvbench
