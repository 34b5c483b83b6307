#include "kernels/oracle_step/oracle_step_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"
#include "kernels/oracle_step/oracle_step.h"

namespace kvbench {
namespace {

void oracle_step_of(const at::Tensor& importance, const at::Tensor& query, const at::Tensor& keys,
                    const at::Tensor& norms, double scale) {
  check_head_rows(keys, "keys");
  TORCH_CHECK(query.dim() == 2 && query.size(1) == keys.size(2) &&
                  query.size(0) % keys.size(0) == 0 && query.scalar_type() == keys.scalar_type(),
              "query: expected ", keys.scalar_type(), " [Hq, ", keys.size(2),
              "], Hq a multiple of ", keys.size(0), ", got ", query.scalar_type(), " ",
              query.sizes());
  TORCH_CHECK(importance.dim() == 2 && importance.size(0) == keys.size(0) &&
                  importance.size(1) <= keys.size(1) && importance.scalar_type() == at::kFloat &&
                  importance.is_contiguous(),
              "importance: expected contiguous float32 [", keys.size(0),
              ", T], T <= ", keys.size(1), ", got ", importance.scalar_type(), " ",
              importance.sizes());
  TORCH_CHECK(norms.sizes() == at::IntArrayRef({query.size(0), importance.size(1)}) &&
                  norms.scalar_type() == at::kFloat && norms.is_contiguous(),
              "norms: expected contiguous float32 [", query.size(0), ", ", importance.size(1),
              "], got ", norms.scalar_type(), " ", norms.sizes());
  const at::Tensor rows = with_whole_rows(keys), queries = query.contiguous();
  OracleStep op;
  op.n_heads = keys.size(0);
  op.n_query_heads = query.size(0);
  op.n_tokens = importance.size(1);
  op.n_keys = keys.size(1);
  op.head_dim = keys.size(2);
  op.dtype = dtype_of(keys);
  op.scale = static_cast<float>(scale);
  op.query = queries.const_data_ptr();
  op.keys = head_rows(rows);
  op.norms = norms.const_data_ptr<float>();
  op.importance = importance.mutable_data_ptr<float>();
  launch(KVB_IMPLEMENTATIONS_WITH_WORKSPACE(oracle_step), op, keys.device());
}

}  // namespace

void oracle_step(const at::Tensor& importance, const at::Tensor& query, const at::Tensor& keys,
                 const at::Tensor& norms, double scale) {
  static const auto op = find_operator<decltype(oracle_step)>("kvbench::oracle_step");
  op.call(importance, query, keys, norms, scale);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def(
      "oracle_step(Tensor(a!) importance, Tensor query, Tensor keys, Tensor norms, float scale) -> "
      "()");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("oracle_step", oracle_step_of);
}

}  // namespace kvbench
