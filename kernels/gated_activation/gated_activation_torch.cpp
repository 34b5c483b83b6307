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

std::vector<int64_t> out_sizes(const at::Tensor& gate_up) {
  auto sizes = gate_up.sizes().vec();
  sizes.back() /= 2;
  return sizes;
}

void gated_activation_into(const at::Tensor& gate_up, std::string_view kind,
                           const at::Tensor& out) {
  check(gate_up, kind);
  const auto sizes = out_sizes(gate_up);
  check_out(out, "out", sizes, gate_up, gate_up.scalar_type());
  const at::Tensor contiguous = gate_up.contiguous();
  GatedActivation op;
  op.n_columns = sizes.back();
  op.n_rows = op.n_columns == 0 ? 0 : out.numel() / op.n_columns;
  op.kind = kind == "silu" ? GatedActivation::Kind::kSilu : GatedActivation::Kind::kGeluTanh;
  op.dtype = dtype_of(gate_up);
  op.gate_up = contiguous.const_data_ptr();
  op.out = out.mutable_data_ptr();
  launch(KVB_IMPLEMENTATIONS(gated_activation), op, gate_up.device());
}

at::Tensor gated_activation_of(const at::Tensor& gate_up, std::string_view kind) {
  check(gate_up, kind);
  at::Tensor out = at::empty(out_sizes(gate_up), gate_up.options());
  gated_activation_into(gate_up, kind, out);
  return out;
}

}  // namespace

at::Tensor gated_activation(const at::Tensor& gate_up, std::string_view kind) {
  static const auto op = find_operator<decltype(gated_activation)>("kvbench::gated_activation");
  return op.call(gate_up, kind);
}

void gated_activation_out(const at::Tensor& gate_up, std::string_view kind, const at::Tensor& out) {
  static const auto op =
      find_operator<decltype(gated_activation_out)>("kvbench::gated_activation", "out");
  op.call(gate_up, kind, out);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def("gated_activation(Tensor gate_up, str kind) -> Tensor");
  library.def("gated_activation.out(Tensor gate_up, str kind, *, Tensor(a!) out) -> ()");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("gated_activation", gated_activation_of);
  library.impl("gated_activation.out", gated_activation_into);
}

}  // namespace kvbench
