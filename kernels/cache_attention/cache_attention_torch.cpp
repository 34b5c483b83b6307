#include "kernels/cache_attention/cache_attention_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/cache_attention/cache_attention.h"
#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"

namespace kvbench {
namespace {

void cache_attention_into(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values,
                          const at::Tensor& starts, const at::Tensor& lengths, double scale,
                          int64_t window, const std::optional<at::Tensor>& items,
                          const std::optional<at::Tensor>& first_items, const at::Tensor& workspace,
                          const at::Tensor& out) {
  CacheAttention op;
  op.cache = ragged_cache(keys, values, starts, lengths);
  TORCH_CHECK(query.dim() == 4 && query.size(0) == op.cache.n_sequences &&
                  query.size(3) == op.cache.head_dim && query.scalar_type() == keys.scalar_type(),
              "query: expected ", keys.scalar_type(), " [", op.cache.n_sequences, ", m, Hq, ",
              op.cache.head_dim, "], got ", query.scalar_type(), " ", query.sizes());
  TORCH_CHECK(op.cache.n_kv_heads > 0 && query.size(2) % op.cache.n_kv_heads == 0, "query heads ",
              query.size(2), " are not a multiple of KV heads ", op.cache.n_kv_heads);
  TORCH_CHECK(window >= 0, "window: expected 0 or more tokens, got ", window);
  if (!served_by_cuda(query.device())) check_rows(op.cache, query.size(1));
  TORCH_CHECK(items.has_value() == first_items.has_value(),
              "items and first_items: expected both or none of them");
  if (items) {
    check_index(*items, "items", at::kInt, {items->size(0), 4}, query.device());
    check_index(*first_items, "first_items", at::kInt, {starts.numel() + 1}, query.device());
    static_assert(sizeof(DecodeItem) == 4 * sizeof(int32_t));
    op.items = static_cast<const DecodeItem*>(items->const_data_ptr());
    op.first_items = first_items->const_data_ptr<int32_t>();
    op.n_items = items->size(0);
  }
  check_out(out, "out", query.sizes(), query, query.scalar_type());
  const at::Tensor contiguous = query.contiguous();
  op.n_tokens = query.size(1);
  op.n_heads = query.size(2);
  op.scale = static_cast<float>(scale);
  op.window = window;
  op.query = contiguous.const_data_ptr();
  op.out = out.mutable_data_ptr();
  launch(KVB_IMPLEMENTATIONS_WITH_WORKSPACE(cache_attention), op, query.device(), workspace);
}

at::Tensor cache_attention_of(const at::Tensor& query, const at::Tensor& keys,
                              const at::Tensor& values, const at::Tensor& starts,
                              const at::Tensor& lengths, double scale, int64_t window,
                              const std::optional<at::Tensor>& items,
                              const std::optional<at::Tensor>& first_items) {
  at::Tensor out = at::empty(query.sizes(), query.options());
  cache_attention_into(query, keys, values, starts, lengths, scale, window, items, first_items,
                       at::Tensor(), out);
  return out;
}

}  // namespace

at::Tensor cache_attention(const at::Tensor& query, const at::Tensor& keys,
                           const at::Tensor& values, const at::Tensor& starts,
                           const at::Tensor& lengths, double scale, int64_t window,
                           const std::optional<at::Tensor>& items,
                           const std::optional<at::Tensor>& first_items) {
  static const auto op = find_operator<decltype(cache_attention)>("kvbench::cache_attention");
  return op.call(query, keys, values, starts, lengths, scale, window, items, first_items);
}

void cache_attention_out(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values,
                         const at::Tensor& starts, const at::Tensor& lengths, double scale,
                         int64_t window, const std::optional<at::Tensor>& items,
                         const std::optional<at::Tensor>& first_items, const at::Tensor& workspace,
                         const at::Tensor& out) {
  static const auto op =
      find_operator<decltype(cache_attention_out)>("kvbench::cache_attention", "out");
  op.call(query, keys, values, starts, lengths, scale, window, items, first_items, workspace, out);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def(
      "cache_attention(Tensor query, Tensor keys, Tensor values, Tensor starts, Tensor lengths, "
      "float scale, int window=0, Tensor? items=None, Tensor? first_items=None) -> Tensor");
  library.def(
      "cache_attention.out(Tensor query, Tensor keys, Tensor values, Tensor starts, "
      "Tensor lengths, float scale, int window, Tensor? items, Tensor? first_items, "
      "Tensor(a!) workspace, *, Tensor(b!) out) -> ()");
}

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("cache_attention", cache_attention_of);
  library.impl("cache_attention.out", cache_attention_into);
}

}  // namespace kvbench
