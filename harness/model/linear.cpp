#include "harness/model/linear.h"

#include <ATen/ATen.h>
#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/cpu/Utils.h>

namespace kvbench {
namespace {

// The products with packed weights have schemas but no C++ functions.
template <class Function>
auto operator_handle(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Function>();
}

bool multiplies_bfloat16() {
  static const bool yes = [] {
    const auto capabilities = at::cpu::get_cpu_capabilities();
    const auto it = capabilities.find("avx512_bf16");
    return it != capabilities.end() && it->second.isBool() && it->second.toBool();
  }();
  return yes;
}

bool is_packable(const at::Tensor& weight) {
  if (!weight.is_cpu() || !at::hasMKLDNN()) return false;
  return weight.scalar_type() == at::kFloat ||
         (weight.scalar_type() == at::kBFloat16 && multiplies_bfloat16());
}

at::Tensor pack(const at::Tensor& weight) {
  static const auto reorder =
      operator_handle<at::Tensor(const at::Tensor&, std::optional<c10::SymInt>)>(
          "mkldnn::_reorder_linear_weight");
  constexpr int64_t kRows = 16;  // for which oneDNN chooses the layout: some sequences' next tokens
  return reorder.call(weight, c10::SymInt(kRows));
}

at::Tensor multiply_packed(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  using Product = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                             std::string_view, c10::List<std::optional<at::Scalar>>,
                             std::optional<std::string_view>);
  static const auto product = operator_handle<Product>("mkldnn::_linear_pointwise");
  const auto optional_bias = bias.defined() ? std::optional(bias) : std::nullopt;
  return product.call(x.contiguous(), weight, optional_bias, "none",
                      c10::List<std::optional<at::Scalar>>(), "");
}

}  // namespace

Linear::Linear(const at::Tensor& weight, at::Tensor bias, Rounding rounding)
    : bias_(std::move(bias)) {
  if (is_packable(weight)) packed_ = pack(weight);
  const bool only_few_rows =
      weight.scalar_type() == at::kFloat && rounding == Rounding::kLikeLibTorch;
  if (!is_packed() || only_few_rows) weight_ = weight;
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  const int64_t n_tokens = x.dim() == 2 ? 1 : x.size(-2);
  const bool by_packed = is_packed() && (!weight_.defined() || n_tokens <= kFewTokens);
  return by_packed ? multiply_packed(x, packed_, bias_) : at::linear(x, weight_, bias_);
}

int64_t Linear::bytes() const {
  int64_t sum = 0;
  for (const auto& t : {weight_, packed_, bias_}) {
    if (t.defined()) sum += t.numel() * static_cast<int64_t>(t.itemsize());
  }
  return sum;
}

}  // namespace kvbench
