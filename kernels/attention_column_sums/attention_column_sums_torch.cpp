#include "kernels/attention_column_sums/attention_column_sums_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/attention_column_sums/attention_column_sums.h"
#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"

namespace kvbench {
namespace {

at::Tensor attention_column_sums_of(const at::Tensor& queries, const at::Tensor& keys, double scale,
                                    std::string_view group, bool causal) {
  check_head_rows(keys, "keys");
  check_queries(queries, keys);
  TORCH_CHECK(queries.size(1) > 0 && (!causal || queries.size(1) <= keys.size(1)),
              "queries: expected 1 to ", keys.size(1), " of them, got ", queries.size(1));
  TORCH_CHECK(keys.size(1) > 0, "keys: expected some");
  const at::Tensor query_rows = with_whole_rows(queries), rows = with_whole_rows(keys);
  AttentionColumnSums op;
  op.n_heads = queries.size(0);
  op.n_kv_heads = keys.size(0);
  op.n_queries = queries.size(1);
  op.n_tokens = op.n_columns = keys.size(1);
  op.head_dim = keys.size(2);
  op.dtype = dtype_of(keys);
  op.scale = static_cast<float>(scale);
  op.queries = head_rows(query_rows);
  op.keys = head_rows(rows);
  op.causal = causal;
  using Group = AttentionColumnSums::Group;
  op.group = choice<Group>(group, "group",
                           {{"mean", Group::kMean},
                            {"max", Group::kMax},
                            {"max_logit", Group::kMaxLogit},
                            {"none", Group::kNone}});
  at::Tensor out = at::empty({op.n_rows(), op.n_tokens}, keys.options().dtype(at::kFloat));
  op.out = out.mutable_data_ptr<float>();
  launch(KVB_IMPLEMENTATIONS_WITH_WORKSPACE(attention_column_sums), op, keys.device());
  return out;
}

}  // namespace

at::Tensor attention_column_sums(const at::Tensor& queries, const at::Tensor& keys, double scale,
                                 std::string_view group, bool causal) {
  static const auto op =
      find_operator<at::Tensor(const at::Tensor&, const at::Tensor&, double, std::string_view,
                               bool)>("kvbench::attention_column_sums");
  return op.call(queries, keys, scale, group, causal);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def(
      "attention_column_sums(Tensor queries, Tensor keys, float scale, str group='mean', bool "
      "causal=True) -> Tensor");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("attention_column_sums", attention_column_sums_of);
}

}  // namespace kvbench
