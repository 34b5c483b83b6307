#include "kernels/gated_activation/gated_activation_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"
#include "kernels/gated_activation/gated_activation.h"

namespace kvbench {
namespace {

void check(const at::Tensor& gate_up, std::string_view kind) {
  TORCH_CHECK(kind == "silu" || kind == "gelu_tanh", "kind: expected silu or gelu_tanh, got ",
              kind);
  TORCH_CHECK(gate_up.dim() >= 1 && gate_up.size(-1) % 2 == 0, "gate_up: expected [..., 2 n], got ",
              gate_up.sizes());
}

at::Tensor gated_activation_of(const at::Tensor& gate_up, std::string_view kind) {
  check(gate_up, kind);
  const at::Tensor contiguous = gate_up.contiguous();
  auto sizes = gate_up.sizes().vec();
  sizes.back() /= 2;
  at::Tensor out = at::empty(sizes, gate_up.options());
  GatedActivation op;
  op.n_columns = sizes.back();
  op.n_rows = op.n_columns == 0 ? 0 : out.numel() / op.n_columns;
  op.kind = kind == "silu" ? GatedActivation::Kind::kSilu : GatedActivation::Kind::kGeluTanh;
  op.dtype = dtype_of(gate_up);
  op.gate_up = contiguous.const_data_ptr();
  op.out = out.mutable_data_ptr();
  launch(KVB_IMPLEMENTATIONS(gated_activation), op, gate_up.device());
  return out;
}

}  // namespace

at::Tensor gated_activation(const at::Tensor& gate_up, std::string_view kind) {
  static const auto op = find_operator<decltype(gated_activation)>("kvbench::gated_activation");
  return op.call(gate_up, kind);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def("gated_activation(Tensor gate_up, str kind) -> Tensor");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("gated_activation", gated_activation_of);
}

}  // namespace kvbench
