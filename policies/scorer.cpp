#include "policies/scorer.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

#include "kernels/common/launch_torch.h"
#include "policies/reconstruction.h"

namespace kvbench {

int64_t n_prompt_rows(std::span<const int64_t> positions, int64_t n_prompt) {
  const auto is_later = [&](int64_t position) { return position >= n_prompt; };
  return std::find_if(positions.begin(), positions.end(), is_later) - positions.begin();
}

int64_t LayerView::n_prompt_rows() const {
  if (positions.empty()) return std::min(n_prompt, n_tokens());
  return kvbench::n_prompt_rows(std::span(positions).first(n_tokens()), n_prompt);
}

at::Tensor Scorer::score_for_counts(const LayerView& /*layer*/, const at::Tensor& scores,
                                    const std::vector<int64_t>& /*counts*/) const {
  return scores;
}

std::unique_ptr<Reconstruction> Scorer::reconstruct(const std::vector<int32_t>& /*context*/,
                                                    const ContextFrame& /*frame*/) const {
  KVB_CHECK(false, "a scorer that needs no second pass was asked for it");
}

void require_tokens(const Scorer& scorer, const std::string& name, int64_t n_tokens) {
  if (n_tokens >= scorer.least_tokens()) return;
  throw_input_error("{}: a context of {} tokens is too short, expected {} or more", name, n_tokens,
                    scorer.least_tokens());
}

void check_scores(const at::Tensor& scores, const LayerView& layer, const std::string& who,
                  int64_t first_head) {
  const std::vector<int64_t> expected = {layer.n_kv_heads(), layer.n_tokens()};
  if (!scores.defined() || scores.scalar_type() != at::kFloat || scores.sizes() != expected) {
    throw std::runtime_error(
        fmt::format("{} must give float32 scores [{}]", who, fmt::join(expected, ", ")));
  }
  // A GPU's are looked at when tokens are selected (Selection::invalid), where nothing waits for
  // it.
  if (served_by_cuda(scores.device())) return;
  const at::Tensor is_nan = scores.isnan().any(1);
  for (int64_t h = 0; h < expected[0]; ++h) {
    if (is_nan[h].item<bool>()) {
      throw std::runtime_error(fmt::format("{} gave NaN for KV head {}", who, first_head + h));
    }
  }
}

at::Tensor above(const at::Tensor& scores) {
  const at::Tensor top = scores.max();
  return top + (top.abs() * 0x1p-20).clamp_min(1);
}

}  // namespace kvbench
