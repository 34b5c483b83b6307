#include "kernels/window_scores/window_scores_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"
#include "kernels/window_scores/window_scores.h"

namespace kvbench {
namespace {

at::Tensor window_scores_of(const at::Tensor& queries, const at::Tensor& keys, double scale,
                            std::string_view pooling, int64_t kernel, std::string_view order,
                            std::string_view reduce) {
  check_head_rows(keys, "keys");
  check_queries(queries, keys);
  TORCH_CHECK(queries.size(1) > 0 && queries.size(1) < keys.size(1), "queries: expected 1 to ",
              keys.size(1) - 1, " of them, got ", queries.size(1));
  TORCH_CHECK(kernel > 0 && kernel % 2 == 1, "kernel: expected an odd width, got ", kernel);
  const at::Tensor latest = queries.contiguous(), rows = with_whole_rows(keys);
  WindowScores op;
  op.n_heads = queries.size(0);
  op.n_kv_heads = keys.size(0);
  op.window = queries.size(1);
  op.n_tokens = keys.size(1);
  op.head_dim = keys.size(2);
  op.dtype = dtype_of(keys);
  op.scale = static_cast<float>(scale);
  op.queries = latest.const_data_ptr();
  op.keys = head_rows(rows);
  op.kernel = kernel;
  op.pooling = choice<WindowScores::Pooling>(
      pooling, "pooling",
      {{"avg", WindowScores::Pooling::kAvg}, {"max", WindowScores::Pooling::kMax}});
  op.order = choice<WindowScores::Order>(order, "order",
                                         {{"pool_first", WindowScores::Order::kPoolFirst},
                                          {"group_first", WindowScores::Order::kGroupFirst}});
  op.reduce = choice<WindowScores::Reduce>(reduce, "reduce",
                                           {{"mean", WindowScores::Reduce::kMean},
                                            {"max", WindowScores::Reduce::kMax},
                                            {"sum", WindowScores::Reduce::kSum},
                                            {"none", WindowScores::Reduce::kNone}});
  const bool of_heads = op.reduce == WindowScores::Reduce::kNone;
  at::Tensor out = at::empty({of_heads ? op.n_heads : op.n_kv_heads, op.n_ranked()},
                             keys.options().dtype(at::kFloat));
  op.out = out.mutable_data_ptr<float>();
  launch(KVB_IMPLEMENTATIONS_WITH_WORKSPACE(window_scores), op, keys.device());
  return out;
}

}  // namespace

at::Tensor window_scores(const at::Tensor& queries, const at::Tensor& keys, double scale,
                         std::string_view pooling, int64_t kernel, std::string_view order,
                         std::string_view reduce) {
  static const auto op = find_operator<decltype(window_scores)>("kvbench::window_scores");
  return op.call(queries, keys, scale, pooling, kernel, order, reduce);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def(
      "window_scores(Tensor queries, Tensor keys, float scale, str pooling, int kernel, str order, "
      "str reduce) -> Tensor");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("window_scores", window_scores_of);
}

}  // namespace kvbench
