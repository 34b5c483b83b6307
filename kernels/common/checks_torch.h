// What the operators' LibTorch faces (<op>_torch.cpp) share: checks of the ragged cache's tensors,
// and the way to LibTorch's dispatcher.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <string>
#include <string_view>
#include <utility>

#include "kernels/common/ragged_cache.h"

namespace kvbench {

// The operator as callers reach it: the dispatcher picks the kernel of the device. overload: "out"
// of the form that writes into the caller's tensors.
template <class Function>
auto find_operator(const char* name, const char* overload = "") {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Function>();
}

// Where a result goes: contiguous, of these sizes, and like `x` but for the dtype.
inline void check_out(const at::Tensor& out, const char* name, at::IntArrayRef sizes,
                      const at::Tensor& x, at::ScalarType dtype) {
  TORCH_CHECK(out.sizes() == sizes && out.scalar_type() == dtype && out.is_contiguous() &&
                  out.device() == x.device(),
              name, ": expected contiguous ", dtype, " ", sizes, " on ", x.device(), ", got ",
              out.scalar_type(), " ", out.sizes(), " on ", out.device());
}

inline DType dtype_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return DType::kFloat32;
    case at::kBFloat16:
      return DType::kBFloat16;
    case at::kHalf:
      return DType::kFloat16;
    default:
      TORCH_CHECK(false, "expected float32, bfloat16 or float16, got ", tensor.scalar_type());
  }
}

// A contiguous tensor of integers of just that form.
inline void check_index(const at::Tensor& index, const char* name, at::ScalarType dtype,
                        at::IntArrayRef sizes, c10::Device device) {
  TORCH_CHECK(index.scalar_type() == dtype && index.sizes() == sizes && index.is_contiguous() &&
                  index.device() == device,
              name, ": expected contiguous ", dtype, " ", sizes, " on ", device, ", got ",
              index.scalar_type(), " ", index.sizes(), " on ", index.device());
}

// Of an RMS norm over n columns of x: contiguous [n], of x's dtype or float32.
inline void check_norm_weight(const at::Tensor& weight, const char* name, const at::Tensor& x,
                              int64_t n) {
  TORCH_CHECK(weight.dim() == 1 && weight.size(0) == n && weight.is_contiguous() &&
                  (weight.scalar_type() == x.scalar_type() || weight.scalar_type() == at::kFloat) &&
                  weight.device() == x.device(),
              name, ": expected contiguous ", x.scalar_type(), " or float32 [", n, "], got ",
              weight.scalar_type(), " ", weight.sizes());
}

// Keys, values or queries of all heads of a layer.
inline void check_head_rows(const at::Tensor& rows, const char* name) {
  TORCH_CHECK(rows.dim() == 3, name, ": expected [heads, tokens, head size], got ", rows.sizes());
  dtype_of(rows);
}

// Of some tokens, for the heads of `keys` [H, T, d]: [Hq, n, d].
inline void check_queries(const at::Tensor& queries, const at::Tensor& keys) {
  TORCH_CHECK(queries.dim() == 3 && queries.size(0) % keys.size(0) == 0 &&
                  queries.size(2) == keys.size(2) && queries.scalar_type() == keys.scalar_type() &&
                  queries.device() == keys.device(),
              "queries: expected ", keys.scalar_type(), " [Hq, n, ", keys.size(2),
              "], Hq a multiple of ", keys.size(0), ", got ", queries.scalar_type(), " ",
              queries.sizes());
}

// The value that a word names.
template <class Value>
Value choice(std::string_view word, const char* name,
             std::initializer_list<std::pair<std::string_view, Value>> values) {
  for (const auto& [known, value] : values) {
    if (known == word) return value;
  }
  std::string all;
  for (const auto& [known, value] : values) all += " " + std::string(known);
  TORCH_CHECK(false, name, ": expected one of", all, ", got ", word);
}

// The tensor itself when kernels can read its rows where they lie: the elements of the last
// dimension side by side, every row at a multiple of 16 bytes. Else a copy that is.
inline at::Tensor with_whole_rows(const at::Tensor& rows) {
  const auto bytes = static_cast<int64_t>(rows.element_size());
  bool fine = rows.stride(-1) == 1 && reinterpret_cast<uintptr_t>(rows.const_data_ptr()) % 16 == 0;
  for (int64_t i = 0; i + 1 < rows.dim(); ++i) {
    fine = fine && (rows.size(i) == 1 || rows.stride(i) * bytes % 16 == 0);
  }
  return fine ? rows : rows.contiguous();
}

// [H, T, d] as with_whole_rows() gives it.
inline HeadRows head_rows(const at::Tensor& rows) {
  return {rows.const_data_ptr(), rows.stride(0), rows.stride(1)};
}

// One layer of a batch: keys and values [rows, d], starts and lengths int64 [S, H].
inline RaggedCache ragged_cache(const at::Tensor& keys, const at::Tensor& values,
                                const at::Tensor& starts, const at::Tensor& lengths) {
  TORCH_CHECK(keys.dim() == 2 && keys.is_contiguous() && values.is_contiguous() &&
                  values.sizes() == keys.sizes() && values.scalar_type() == keys.scalar_type() &&
                  values.device() == keys.device(),
              "cached keys and values: expected one contiguous form [rows, d], got ",
              keys.scalar_type(), " ", keys.sizes(), " and ", values.scalar_type(), " ",
              values.sizes());
  TORCH_CHECK(starts.dim() == 2, "starts: expected int64 [S, H], got ", starts.sizes());
  check_index(starts, "starts", at::kLong, starts.sizes(), keys.device());
  check_index(lengths, "lengths", at::kLong, starts.sizes(), keys.device());
  RaggedCache cache;
  cache.n_sequences = starts.size(0);
  cache.n_kv_heads = starts.size(1);
  cache.head_dim = keys.size(1);
  cache.n_rows = keys.size(0);
  cache.dtype = dtype_of(keys);
  cache.keys = keys.mutable_data_ptr();
  cache.values = values.mutable_data_ptr();
  cache.starts = starts.const_data_ptr<int64_t>();
  cache.lengths = lengths.const_data_ptr<int64_t>();
  return cache;
}

// Every head lies inside the buffers and holds the m new tokens. Reads starts and lengths: only the
// host's own memory can be looked at without a wait.
inline void check_rows(const RaggedCache& cache, int64_t n_tokens) {
  for (int64_t i = 0; i < cache.n_sequences * cache.n_kv_heads; ++i) {
    TORCH_CHECK(cache.starts[i] >= 0 && cache.lengths[i] >= n_tokens &&
                    cache.starts[i] <= cache.n_rows - cache.lengths[i],
                "sequence ", i / cache.n_kv_heads, ", KV head ", i % cache.n_kv_heads, ": rows ",
                cache.starts[i], " + ", cache.lengths[i], " with ", n_tokens,
                " new ones do not fit buffers of ", cache.n_rows, " rows");
  }
}

}  // namespace kvbench
