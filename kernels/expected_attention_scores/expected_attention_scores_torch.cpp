#include "kernels/expected_attention_scores/expected_attention_scores_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"
#include "kernels/expected_attention_scores/expected_attention_scores.h"

namespace kvbench {
namespace {

at::Tensor expected_attention_scores_of(const at::Tensor& keys, const at::Tensor& values,
                                        const at::Tensor& linear,
                                        const std::optional<at::Tensor>& quadratic, int64_t n_sink,
                                        bool softmax_over_sinks, bool use_vnorm, double eps) {
  check_head_rows(keys, "keys");
  TORCH_CHECK(values.sizes() == keys.sizes() && values.scalar_type() == keys.scalar_type(),
              "values: expected ", keys.scalar_type(), " ", keys.sizes(), ", got ",
              values.scalar_type(), " ", values.sizes());
  const int64_t n_heads = keys.size(0), n_tokens = keys.size(1), d = keys.size(2);
  TORCH_CHECK(linear.dim() == 2 && linear.size(0) % n_heads == 0 && linear.size(1) == d &&
                  linear.scalar_type() == at::kFloat && linear.is_contiguous(),
              "linear: expected contiguous float32 [Hq, ", d, "], Hq a multiple of ", n_heads,
              ", got ", linear.scalar_type(), " ", linear.sizes());
  const int64_t n_query_heads = linear.size(0);
  TORCH_CHECK(!quadratic || (quadratic->sizes() == at::IntArrayRef({n_query_heads, d, d}) &&
                             quadratic->scalar_type() == at::kFloat && quadratic->is_contiguous()),
              "quadratic: expected contiguous float32 [", n_query_heads, ", ", d, ", ", d, "]");
  TORCH_CHECK(n_sink >= 0 && n_sink < n_tokens, "n_sink: expected 0 to ", n_tokens - 1, ", got ",
              n_sink);
  const at::Tensor key_rows = with_whole_rows(keys), value_rows = with_whole_rows(values);
  at::Tensor out = at::empty({n_heads, n_tokens - n_sink}, linear.options());
  ExpectedAttentionScores op;
  op.n_heads = n_heads;
  op.n_query_heads = n_query_heads;
  op.n_rows = n_tokens;
  op.head_dim = d;
  op.n_sink = n_sink;
  op.dtype = dtype_of(keys);
  op.softmax_over_sinks = softmax_over_sinks;
  op.use_vnorm = use_vnorm;
  op.eps = static_cast<float>(eps);
  op.keys = head_rows(key_rows);
  op.values = head_rows(value_rows);
  op.linear = linear.const_data_ptr<float>();
  op.quadratic = quadratic ? quadratic->const_data_ptr<float>() : nullptr;
  op.out = out.mutable_data_ptr<float>();
  launch(KVB_IMPLEMENTATIONS_WITH_WORKSPACE(expected_attention_scores), op, keys.device());
  return out;
}

}  // namespace

at::Tensor expected_attention_scores(const at::Tensor& keys, const at::Tensor& values,
                                     const at::Tensor& linear,
                                     const std::optional<at::Tensor>& quadratic, int64_t n_sink,
                                     bool softmax_over_sinks, bool use_vnorm, double eps) {
  static const auto op =
      find_operator<decltype(expected_attention_scores)>("kvbench::expected_attention_scores");
  return op.call(keys, values, linear, quadratic, n_sink, softmax_over_sinks, use_vnorm, eps);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def(
      "expected_attention_scores(Tensor keys, Tensor values, Tensor linear, Tensor? quadratic, "
      "int n_sink, bool softmax_over_sinks, bool use_vnorm, float eps) -> Tensor");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("expected_attention_scores", expected_attention_scores_of);
}

}  // namespace kvbench
