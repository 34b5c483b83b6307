#include "kernels/peak_attention/peak_attention_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"
#include "kernels/peak_attention/peak_attention.h"

namespace kvbench {
namespace {

// Contiguous weights of that form, undefined where there are none.
at::Tensor checked_weights(const std::optional<at::Tensor>& weights, const char* name,
                           at::IntArrayRef sizes, const at::Tensor& keys) {
  if (!weights) return {};
  TORCH_CHECK(weights->scalar_type() == at::kFloat && weights->sizes() == sizes &&
                  weights->device() == keys.device(),
              name, ": expected float32 ", sizes, ", got ", weights->scalar_type(), " ",
              weights->sizes());
  return weights->contiguous();
}

at::Tensor peak_attention_of(const at::Tensor& to_others, const at::Tensor& to_own,
                             const at::Tensor& sinks, const at::Tensor& keys, const at::Tensor& own,
                             double scale, const std::optional<at::Tensor>& query_weights,
                             const std::optional<at::Tensor>& key_weights) {
  check_head_rows(keys, "keys");
  check_queries(to_others, keys);
  check_queries(to_own, keys);
  const int64_t n_kv_heads = keys.size(0), n_keys = keys.size(1), d = keys.size(2);
  const int64_t n_heads = to_own.size(0), n_queries = to_own.size(1);
  TORCH_CHECK(n_keys > 0 && n_queries > 0 && to_others.sizes() == to_own.sizes(),
              "expected keys, and queries in two forms of one size, got ", keys.sizes(), ", ",
              to_others.sizes(), " and ", to_own.sizes());
  const auto check_keys = [&](const at::Tensor& rows, const char* name, int64_t n) {
    check_head_rows(rows, name);
    TORCH_CHECK(rows.sizes() == at::IntArrayRef({n_kv_heads, n, d}) &&
                    rows.scalar_type() == keys.scalar_type() && rows.device() == keys.device(),
                name, ": expected ", keys.scalar_type(), " [", n_kv_heads, ", ", n, ", ", d,
                "], got ", rows.scalar_type(), " ", rows.sizes());
  };
  check_keys(sinks, "sinks", sinks.size(1));
  check_keys(own, "own", n_queries);
  const at::Tensor rows[] = {with_whole_rows(to_others), with_whole_rows(to_own),
                             with_whole_rows(sinks), with_whole_rows(keys), with_whole_rows(own)};
  const at::Tensor of_queries = checked_weights(query_weights, "query_weights", {n_queries}, keys);
  const at::Tensor of_keys = checked_weights(key_weights, "key_weights", {n_heads, n_keys}, keys);
  at::Tensor out = at::empty({n_kv_heads, n_keys}, keys.options().dtype(at::kFloat));
  PeakAttention op;
  op.n_heads = n_heads;
  op.n_kv_heads = n_kv_heads;
  op.n_queries = n_queries;
  op.n_sinks = sinks.size(1);
  op.n_keys = n_keys;
  op.head_dim = d;
  op.dtype = dtype_of(keys);
  op.scale = static_cast<float>(scale);
  op.to_others = head_rows(rows[0]);
  op.to_own = head_rows(rows[1]);
  op.sinks = head_rows(rows[2]);
  op.keys = head_rows(rows[3]);
  op.own = head_rows(rows[4]);
  if (of_queries.defined()) op.query_weights = of_queries.const_data_ptr<float>();
  if (of_keys.defined()) op.key_weights = of_keys.const_data_ptr<float>();
  op.out = out.mutable_data_ptr<float>();
  launch(KVB_IMPLEMENTATIONS_WITH_WORKSPACE(peak_attention), op, keys.device());
  return out;
}

}  // namespace

at::Tensor peak_attention(const at::Tensor& to_others, const at::Tensor& to_own,
                          const at::Tensor& sinks, const at::Tensor& keys, const at::Tensor& own,
                          double scale, const std::optional<at::Tensor>& query_weights,
                          const std::optional<at::Tensor>& key_weights) {
  static const auto op = find_operator<decltype(peak_attention)>("kvbench::peak_attention");
  return op.call(to_others, to_own, sinks, keys, own, scale, query_weights, key_weights);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def(
      "peak_attention(Tensor to_others, Tensor to_own, Tensor sinks, Tensor keys, Tensor own, "
      "float scale, Tensor? query_weights=None, Tensor? key_weights=None) -> Tensor");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("peak_attention", peak_attention_of);
}

}  // namespace kvbench
