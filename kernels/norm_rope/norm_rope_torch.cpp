#include "kernels/norm_rope/norm_rope_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"
#include "kernels/norm_rope/norm_rope.h"

namespace kvbench {
namespace {

// Returns the head size.
int64_t check_heads(const at::Tensor& qkv, int64_t n_heads, int64_t n_kv_heads) {
  TORCH_CHECK(n_heads > 0 && n_kv_heads > 0, "heads: expected 1 or more, got ", n_heads, " and ",
              n_kv_heads);
  TORCH_CHECK(
      qkv.dim() == 3 && qkv.is_contiguous() && qkv.size(2) % (n_heads + 2 * n_kv_heads) == 0,
      "qkv: expected contiguous [S, m, ", n_heads + 2 * n_kv_heads, " d], got ", qkv.sizes());
  return qkv.size(2) / (n_heads + 2 * n_kv_heads);
}

void norm_rope_into(const at::Tensor& qkv, int64_t n_heads, int64_t n_kv_heads,
                    const at::Tensor& cos, const at::Tensor& sin,
                    const std::optional<at::Tensor>& query_weight,
                    const std::optional<at::Tensor>& key_weight, double eps,
                    const at::Tensor& queries, const at::Tensor& keys,
                    const at::Tensor& normed_queries) {
  const int64_t d = check_heads(qkv, n_heads, n_kv_heads), S = qkv.size(0), m = qkv.size(1);
  for (const auto* angles : {&cos, &sin}) {
    TORCH_CHECK(angles->scalar_type() == at::kFloat && angles->numel() == S * m * (d / 2) &&
                    angles->is_contiguous() && angles->device() == qkv.device(),
                "cos and sin: expected contiguous float32 [", S, ", ", m, ", 1, ", d / 2, "], got ",
                angles->scalar_type(), " ", angles->sizes());
  }
  TORCH_CHECK(query_weight.has_value() == key_weight.has_value(),
              "weights: expected both or none of them");
  if (query_weight) {
    check_norm_weight(*query_weight, "query weight", qkv, d);
    check_norm_weight(*key_weight, "key weight", qkv, d);
  }
  check_out(queries, "queries", {S, m, n_heads, d}, qkv, qkv.scalar_type());
  check_out(keys, "keys", {S, m, n_kv_heads, d}, qkv, qkv.scalar_type());
  if (query_weight) {
    check_out(normed_queries, "normed queries", queries.sizes(), qkv, qkv.scalar_type());
  }
  NormRope op;
  op.n_rows = S * m;
  op.n_heads = n_heads;
  op.n_kv_heads = n_kv_heads;
  op.head_dim = d;
  op.dtype = op.weight_dtype = dtype_of(qkv);
  op.eps = static_cast<float>(eps);
  op.qkv = qkv.const_data_ptr();
  op.row_stride = qkv.size(2);
  op.cos = cos.const_data_ptr<float>();
  op.sin = sin.const_data_ptr<float>();
  op.queries = queries.mutable_data_ptr();
  op.keys = keys.mutable_data_ptr();
  if (query_weight) {
    op.weight_dtype = dtype_of(*query_weight);
    op.query_weight = query_weight->const_data_ptr();
    op.key_weight = key_weight->const_data_ptr();
    op.normed_queries = normed_queries.mutable_data_ptr();
  }
  launch(KVB_IMPLEMENTATIONS(norm_rope), op, qkv.device());
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> norm_rope_of(
    const at::Tensor& qkv, int64_t n_heads, int64_t n_kv_heads, const at::Tensor& cos,
    const at::Tensor& sin, const std::optional<at::Tensor>& query_weight,
    const std::optional<at::Tensor>& key_weight, double eps) {
  const int64_t d = check_heads(qkv, n_heads, n_kv_heads), S = qkv.size(0), m = qkv.size(1);
  at::Tensor queries = at::empty({S, m, n_heads, d}, qkv.options()),
             keys = at::empty({S, m, n_kv_heads, d}, qkv.options()),
             normed = query_weight ? at::empty_like(queries) : at::empty({0}, qkv.options());
  norm_rope_into(qkv, n_heads, n_kv_heads, cos, sin, query_weight, key_weight, eps, queries, keys,
                 normed);
  return {queries, keys, normed};
}

}  // namespace

std::tuple<at::Tensor, at::Tensor, at::Tensor> norm_rope(
    const at::Tensor& qkv, int64_t n_heads, int64_t n_kv_heads, const at::Tensor& cos,
    const at::Tensor& sin, const std::optional<at::Tensor>& query_weight,
    const std::optional<at::Tensor>& key_weight, double eps) {
  static const auto op = find_operator<decltype(norm_rope)>("kvbench::norm_rope");
  return op.call(qkv, n_heads, n_kv_heads, cos, sin, query_weight, key_weight, eps);
}

void norm_rope_out(const at::Tensor& qkv, int64_t n_heads, int64_t n_kv_heads,
                   const at::Tensor& cos, const at::Tensor& sin,
                   const std::optional<at::Tensor>& query_weight,
                   const std::optional<at::Tensor>& key_weight, double eps,
                   const at::Tensor& queries, const at::Tensor& keys,
                   const at::Tensor& normed_queries) {
  static const auto op = find_operator<decltype(norm_rope_out)>("kvbench::norm_rope", "out");
  op.call(qkv, n_heads, n_kv_heads, cos, sin, query_weight, key_weight, eps, queries, keys,
          normed_queries);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def(
      "norm_rope(Tensor qkv, int n_heads, int n_kv_heads, Tensor cos, Tensor sin, "
      "Tensor? query_weight=None, Tensor? key_weight=None, float eps=0) -> "
      "(Tensor, Tensor, Tensor)");
  library.def(
      "norm_rope.out(Tensor qkv, int n_heads, int n_kv_heads, Tensor cos, Tensor sin, "
      "Tensor? query_weight=None, Tensor? key_weight=None, float eps=0, *, Tensor(a!) queries, "
      "Tensor(b!) keys, Tensor(c!) normed_queries) -> ()");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("norm_rope", norm_rope_of);
  library.impl("norm_rope.out", norm_rope_into);
}

}  // namespace kvbench
