#include "kernels/causal_attention/causal_attention_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "kernels/causal_attention/causal_attention.h"
#include "kernels/common/checks_torch.h"

namespace kvbench {
namespace {

void check(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values,
           int64_t window) {
  check_head_rows(keys, "keys");
  TORCH_CHECK(keys.is_contiguous() && keys.size(1) > 0, "keys: expected contiguous [H, T, d], got ",
              keys.sizes());
  TORCH_CHECK(values.is_contiguous() && values.sizes() == keys.sizes() &&
                  values.scalar_type() == keys.scalar_type() && values.device() == keys.device(),
              "values: expected contiguous ", keys.scalar_type(), " ", keys.sizes(), ", got ",
              values.scalar_type(), " ", values.sizes());
  check_queries(query, keys);
  TORCH_CHECK(query.size(0) > 0 && query.size(1) == keys.size(1) && query.stride(2) == 1,
              "queries: expected rows of ", keys.size(2), " side by side for ", keys.size(1),
              " tokens, got ", query.sizes());
  TORCH_CHECK(window >= 0, "window: expected at least 0, got ", window);
}

at::Tensor on_cpu(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values,
                  double scale, int64_t window) {
  check(query, keys, values, window);
  at::Tensor out = at::empty({query.size(1), query.size(0), query.size(2)}, query.options());
  CausalAttention op;
  op.n_tokens = query.size(1);
  op.n_heads = query.size(0);
  op.n_kv_heads = keys.size(0);
  op.head_dim = query.size(2);
  op.dtype = dtype_of(keys);
  op.scale = static_cast<float>(scale);
  op.window = window;
  op.query = query.const_data_ptr();
  op.query_head_stride = query.stride(0);
  op.query_token_stride = query.stride(1);
  op.keys = keys.const_data_ptr();
  op.values = values.const_data_ptr();
  op.out = out.mutable_data_ptr();
  causal_attention_cpu(op);
  return out;
}

// For every number of tokens cuDNN compiles a kernel of its own, in 40 ms on an H200, which its
// faster attention brings in again in long contexts only.
class CuDnnIfLong {
 public:
  explicit CuDnnIfLong(int64_t n_tokens) {
    constexpr int64_t kLong = 16384;
    if (n_tokens < kLong) at::globalContext().setSDPUseCuDNN(false);
  }
  ~CuDnnIfLong() { at::globalContext().setSDPUseCuDNN(before_); }
  CuDnnIfLong(const CuDnnIfLong&) = delete;

 private:
  bool before_ = at::globalContext().userEnabledCuDNNSDP();
};

// By LibTorch. Under a window blocks of queries each see the keys that their windows reach: a mask
// of all pairs would grow with the square of the context.
at::Tensor by_torch(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values,
                    double scale, int64_t window) {
  check(query, keys, values, window);
  const at::Tensor q = query.unsqueeze(0), k = keys.unsqueeze(0), v = values.unsqueeze(0);
  const int64_t n_tokens = query.size(1);
  const auto by_tokens = [](const at::Tensor& out) { return out.squeeze(0).transpose(0, 1); };
  if (window == 0 || n_tokens <= window) {
    const CuDnnIfLong if_long(n_tokens);
    return by_tokens(at::scaled_dot_product_attention(q, k, v, /*attn_mask=*/{}, /*dropout_p=*/0.0,
                                                      /*is_causal=*/true, scale,
                                                      /*enable_gqa=*/true));
  }
  constexpr int64_t kBlock = 512;
  std::vector<at::Tensor> blocks;
  for (int64_t first = 0; first < n_tokens; first += kBlock) {
    const int64_t n = std::min(kBlock, n_tokens - first);
    const int64_t first_key = std::max<int64_t>(0, first - window + 1);
    const int64_t before = first - first_key, n_keys = before + n;
    const at::Tensor seen = at::ones({n, n_keys}, keys.options().dtype(at::kBool))
                                .tril(before)
                                .triu(before - window + 1);
    blocks.push_back(at::scaled_dot_product_attention(
        q.narrow(2, first, n), k.narrow(2, first_key, n_keys), v.narrow(2, first_key, n_keys), seen,
        /*dropout_p=*/0.0, /*is_causal=*/false, scale, /*enable_gqa=*/true));
  }
  return by_tokens(at::cat(blocks, 2));
}

}  // namespace

at::Tensor causal_attention(const at::Tensor& query, const at::Tensor& keys,
                            const at::Tensor& values, double scale, int64_t window) {
  static const auto op = find_operator<decltype(causal_attention)>("kvbench::causal_attention");
  return op.call(query, keys, values, scale, window);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def(
      "causal_attention(Tensor query, Tensor keys, Tensor values, float scale, int window) -> "
      "Tensor");
}

TORCH_LIBRARY_IMPL(kvbench, CPU, library) { library.impl("causal_attention", on_cpu); }

TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("causal_attention", by_torch);
}

}  // namespace kvbench
