// The most attention that tokens get from any of a repeat's queries: what KVzip and echo rank by.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// q queries of each of Hq heads attend to S sinks and m keys, and among themselves causally. Query
// head q serves KV head q / (Hq / H).
struct PeakAttention {
  double scale = 0;
  at::Tensor to_others, to_own;  // [Hq, q, d]: queries as they meet sinks and keys, and one another
  at::Tensor sinks;              // [H, S, d], S >= 0
  at::Tensor keys;               // [H, m, d]
  at::Tensor own;                // [H, q, d], the queries' own tokens
  at::Tensor query_weights;  // float32 [q], key_weights float32 [Hq, m]: of the attention before
  at::Tensor key_weights;    // the maximum; undefined = 1
};

// float32 [H, m]: of key j the maximum over queries i and heads g of a group of w_i w_gj a_gij, a
// the softmax over sinks, keys and the own tokens up to i. In blocks of queries: nothing of q * m
// for all of them is made. Products and sums are float32 whatever the dtype.
at::Tensor peak_attention(const PeakAttention& attention);

}  // namespace kvbench
