// Attention of a block of tokens by tensor cores: 16-bit elements, 64 query rows of a KV head in a
// thread block, 16 in a warp, against tiles of its rows. Weights are rounded to the elements' type,
// their sums are not.
#pragma once

#include <cfloat>

#include "kernels/cache_attention/query_rows.cuh"
#include "kernels/common/async_copy.cuh"
#include "kernels/common/tensor_cores.cuh"

namespace kvbench {
namespace {

constexpr int kBlockThreads = 128, kBlockRows = 64, kBlockTile = 32;

// grid [tiles of query rows, S * H]
template <class T, int kDim>
__global__ void __launch_bounds__(kBlockThreads, 3) attend_block_kernel(const CacheAttention op) {
  constexpr int kKeys = kBlockTile / 4;  // logits that a thread has of a query row
  constexpr int kStride = kDim + 8;      // eight rows of a matrix lie in different banks
  constexpr int kPacks = kDim / Pack<T>::kSize;
  __shared__ alignas(16) T queries[kBlockRows][kStride];
  __shared__ alignas(16) T keys[kBlockTile][kStride], values[kBlockTile][kStride];
  const int n_kv_heads = op.cache.n_kv_heads, head_dim = op.cache.head_dim, head = blockIdx.y;
  const QueryRows rows(op, head / n_kv_heads, head % n_kv_heads);
  const int n_rows = rows.n, first_row = blockIdx.x * kBlockRows;
  const int last_row = min(first_row + kBlockRows, n_rows) - 1;
  const int begin = rows.begin(first_row), end = rows.end(last_row);
  const int start = op.cache.starts[head];

  const auto load = [&](const void* arena, int t, T(*tile)[kStride]) {
    const T* from = static_cast<const T*>(arena) + int64_t{start + t} * head_dim;
#pragma unroll 1
    for (int i = threadIdx.x; t < end && i < kBlockTile * kPacks; i += kBlockThreads) {
      const int row = i / kPacks, column = i % kPacks * Pack<T>::kSize;
      const bool is_there = t + row < end && column < head_dim;
      copy_pack_async(tile[row] + column, is_there ? from + int64_t{row} * head_dim + column : from,
                      is_there);
    }
    commit_copies();
  };
#pragma unroll 1
  for (int i = threadIdx.x; i < kBlockRows * kPacks; i += kBlockThreads) {
    const int row = first_row + i / kPacks, column = i % kPacks * Pack<T>::kSize;
    const bool is_there = row < n_rows && column < head_dim;
    const T* from = static_cast<const T*>(op.query);
    copy_pack_async(queries[i / kPacks] + column,
                    is_there ? from + rows.offset(op, row) + column : from, is_there);
  }
  load(op.cache.keys, begin, keys);
  load(op.cache.values, begin, values);

  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const float scale = op.scale * 1.4426950408889634F;  // log2(e)
  // Of the query rows lane / 4 and lane / 4 + 8 of the warp; sums of columns 2 (lane % 4) and the
  // next of every eight.
  float largest[2] = {-FLT_MAX, -FLT_MAX}, total[2] = {}, sums[2][kDim / 4] = {};
  int begin_of[2], end_of[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = first_row + warp * 16 + lane / 4 + 8 * r;
    begin_of[r] = rows.begin(row);
    end_of[r] = row < n_rows ? rows.end(row) : 0;
  }
  for (int t0 = begin; t0 < end; t0 += kBlockTile) {
    wait_for_copies<1>();
    __syncthreads();  // the queries and keys are there
    float logits[2][kKeys] = {};
#pragma unroll
    for (int c = 0; c < kDim; c += 16) {
      unsigned a[4];
      load_matrices(a, &queries[warp * 16 + lane % 16][c + lane / 16 * 8]);
#pragma unroll
      for (int k = 0; k < kKeys; k += 4) {
        unsigned b[4];
        load_matrices(b, &keys[k * 4 + lane / 16 * 8 + lane % 8][c + lane / 8 % 2 * 8]);
        multiply_add(T{}, logits[0][k], logits[0][k + 1], logits[1][k], logits[1][k + 1], a, b[0],
                     b[1]);
        multiply_add(T{}, logits[0][k + 2], logits[0][k + 3], logits[1][k + 2], logits[1][k + 3], a,
                     b[2], b[3]);
      }
    }
    __syncthreads();  // the keys can go
    load(op.cache.keys, t0 + kBlockTile, keys);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float top = largest[r];
#pragma unroll
      for (int k = 0; k < kKeys; ++k) {
        const int t = t0 + k / 2 * 8 + lane % 4 * 2 + k % 2;
        const bool is_seen = t >= begin_of[r] && t < end_of[r];
        logits[r][k] = is_seen ? logits[r][k] * scale : -INFINITY;
        top = fmaxf(top, logits[r][k]);
      }
      top = fmaxf(top, __shfl_xor_sync(kWholeWarp, top, 1));
      top = fmaxf(top, __shfl_xor_sync(kWholeWarp, top, 2));
      const float shrink = exp2f(largest[r] - top);
      largest[r] = top;
      total[r] *= shrink;
#pragma unroll
      for (int k = 0; k < kKeys; ++k) total[r] += logits[r][k] = exp2f(logits[r][k] - top);
#pragma unroll
      for (int c = 0; c < kDim / 4; ++c) sums[r][c] *= shrink;
    }
    wait_for_copies<1>();
    __syncthreads();  // the values are there
#pragma unroll
    for (int k = 0; k < kKeys; k += 4) {
      const unsigned a[4] = {pair_of<T>(logits[0][k], logits[0][k + 1]),
                             pair_of<T>(logits[1][k], logits[1][k + 1]),
                             pair_of<T>(logits[0][k + 2], logits[0][k + 3]),
                             pair_of<T>(logits[1][k + 2], logits[1][k + 3])};
#pragma unroll
      for (int c = 0; c < kDim / 4; c += 4) {
        unsigned b[4];
        load_transposed(b, &values[k * 4 + lane % 16][c * 4 + lane / 16 * 8]);
        multiply_add(T{}, sums[0][c], sums[0][c + 1], sums[1][c], sums[1][c + 1], a, b[0], b[1]);
        multiply_add(T{}, sums[0][c + 2], sums[0][c + 3], sums[1][c + 2], sums[1][c + 3], a, b[2],
                     b[3]);
      }
    }
    __syncthreads();  // they can go
    load(op.cache.values, t0 + kBlockTile, values);
  }

#pragma unroll
  for (int r = 0; r < 2; ++r) {
    total[r] += __shfl_xor_sync(kWholeWarp, total[r], 1);
    total[r] += __shfl_xor_sync(kWholeWarp, total[r], 2);
    const int row = first_row + warp * 16 + lane / 4 + 8 * r;
    if (row >= n_rows) continue;
    T* out = static_cast<T*>(op.out) + rows.offset(op, row);
#pragma unroll
    for (int c = 0; c < kDim / 4; c += 2) {
      const int column = c * 4 + lane % 4 * 2;
      if (column >= head_dim) continue;
      *reinterpret_cast<unsigned*>(out + column) =
          pair_of<T>(sums[r][c] / total[r], sums[r][c + 1] / total[r]);
    }
  }
}

}  // namespace
}  // namespace kvbench
