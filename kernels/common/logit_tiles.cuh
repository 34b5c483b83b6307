// Dot products of a tile of queries with a tile of 64 keys, by a block of 128 threads: with tensor
// cores for 16-bit elements, which multiply exactly and add in float32, else by plain float32.
// Logits stay in registers; a tile says which ones a thread has.
#pragma once

#include "kernels/common/async_copy.cuh"
#include "kernels/common/cuda_common.cuh"
#include "kernels/common/tensor_cores.cuh"

namespace kvbench {

inline constexpr int kTileThreads = 128, kTileKeys = 64;

// Rows of a tile, of which n are there.
template <class T>
struct TileRows {
  const T* first;
  int64_t stride;
  int n;

  __device__ TileRows(const HeadRows& rows, int head, int row, int n_rows)
      : first(static_cast<const T*>(rows.data) + head * rows.head_stride + row * rows.row_stride),
        stride(rows.row_stride),
        n(n_rows - row) {}
  __device__ const T* at(int row) const { return first + row * stride; }
};

// Plain float32: 8 threads one above the other have kRowsOfThread queries each, 16 side by side 4
// keys.
template <int kRowsOfThread>
struct FloatTile {
  using Element = float;
  static constexpr int kRows = kRowsOfThread, kKeys = 4;  // of a thread
  static constexpr int kLanesOfRow = kTileKeys / kKeys;
  static constexpr int kQueries = kTileThreads / kLanesOfRow * kRows;
  static constexpr int kSize = Pack<float>::kSize, kDepth = 2 * kSize;

  // Two chunks of columns, so that the next arrives while one is multiplied. Padding spreads the
  // banks.
  struct Shared {
    float queries[2][kDepth][kQueries + 4], keys[2][kDepth][kTileKeys + 4];
  };
  float logits[kRows][kKeys];

  __device__ static int row(int r) {
    return static_cast<int>(threadIdx.x) / kLanesOfRow * kRows + r;
  }
  __device__ static int key(int k) {
    return static_cast<int>(threadIdx.x) % kLanesOfRow * kKeys + k;
  }

  __device__ void multiply(const TileRows<float>& queries, const TileRows<float>& keys,
                           int head_dim, Shared& shared) {
    // A thread reads half a chunk of one row of either.
    const int row_read = threadIdx.x / 2, offset = threadIdx.x % 2 * kSize;
    const bool has_query = row_read < min(kQueries, queries.n), has_key = row_read < keys.n;
    Pack<float> of_query, of_key;
    const auto load = [&](int column) {
      const bool is_there = column < head_dim;
      of_query = has_query && is_there ? load_pack(queries.at(row_read) + column) : Pack<float>{};
      of_key = has_key && is_there ? load_pack(keys.at(row_read) + column) : Pack<float>{};
    };
    const auto store = [&](int buffer) {
#pragma unroll
      for (int i = 0; i < kSize; ++i) {
        if (row_read < kQueries) {
          shared.queries[buffer][offset + i][row_read] = of_query.at[i];
        }
        shared.keys[buffer][offset + i][row_read] = of_key.at[i];
      }
    };
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int k = 0; k < kKeys; ++k) logits[r][k] = 0;
    }
    load(offset);
    store(0);
    __syncthreads();
    for (int column = 0, buffer = 0; column < head_dim; column += kDepth, buffer ^= 1) {
      const bool has_next = column + kDepth < head_dim;
      if (has_next) load(column + kDepth + offset);
#pragma unroll
      for (int c = 0; c < kDepth; ++c) {
        const auto k = *reinterpret_cast<const float4*>(shared.keys[buffer][c] + key(0));
#pragma unroll
        for (int r = 0; r < kRows; r += 4) {
          const auto q = *reinterpret_cast<const float4*>(shared.queries[buffer][c] + row(r));
          const float of_rows[4] = {q.x, q.y, q.z, q.w};
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            logits[r + i][0] = fmaf(of_rows[i], k.x, logits[r + i][0]);
            logits[r + i][1] = fmaf(of_rows[i], k.y, logits[r + i][1]);
            logits[r + i][2] = fmaf(of_rows[i], k.z, logits[r + i][2]);
            logits[r + i][3] = fmaf(of_rows[i], k.w, logits[r + i][3]);
          }
        }
      }
      if (has_next) store(buffer ^ 1);
      __syncthreads();  // the next chunk is there, and this one can go
    }
  }
};

// Tensor cores: each warp has 16 queries and all keys.
template <class T>
struct TensorTile {
  using Element = T;
  static constexpr int kRows = 2, kKeys = 16;  // of a thread
  static constexpr int kLanesOfRow = 4, kQueries = 64;
  static constexpr int kDepth = 64, kPacks = kDepth / Pack<T>::kSize;

  // Two chunks of columns as above. Eight rows of a matrix lie in different banks.
  struct Shared {
    alignas(16) T queries[2][kQueries][kDepth + 8];
    alignas(16) T keys[2][kTileKeys][kDepth + 8];
  };
  float logits[kRows][kKeys];

  __device__ static int row(int r) {
    return static_cast<int>(threadIdx.x) / kWarp * 16 + static_cast<int>(threadIdx.x) % kWarp / 4 +
           8 * r;
  }
  __device__ static int key(int k) {
    return k / 2 * 8 + static_cast<int>(threadIdx.x) % kLanesOfRow * 2 + k % 2;
  }

  __device__ void multiply(const TileRows<T>& queries, const TileRows<T>& keys, int head_dim,
                           Shared& shared) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int k = 0; k < kKeys; ++k) logits[r][k] = 0;
    }
    const auto load = [&](int column, int buffer) {
      copy_chunk(queries, column, head_dim, shared.queries[buffer]);
      copy_chunk(keys, column, head_dim, shared.keys[buffer]);
      commit_copies();
    };
    // Where this lane's row of the four matrices of a load begins.
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    const int query = warp * 16 + lane % 16, query_column = lane / 16 * 8;
    const int key = lane / 16 * 8 + lane % 8, key_column = lane / 8 % 2 * 8;
    load(0, 0);
    for (int column = 0, buffer = 0; column < head_dim; column += kDepth, buffer ^= 1) {
      wait_for_copies<0>();
      __syncthreads();  // this chunk is there, and the one before can go
      if (column + kDepth < head_dim) load(column + kDepth, buffer ^ 1);
#pragma unroll
      for (int c = 0; c < kDepth; c += 16) {
        if (column + c >= head_dim) break;
        unsigned a[4];
        load_matrices(a, &shared.queries[buffer][query][c + query_column]);
#pragma unroll
        for (int k = 0; k < kKeys; k += 4) {
          unsigned b[4];  // of twice 8 keys
          load_matrices(b, &shared.keys[buffer][k / 2 * 8 + key][c + key_column]);
          multiply_add(T{}, logits[0][k], logits[0][k + 1], logits[1][k], logits[1][k + 1], a, b[0],
                       b[1]);
          multiply_add(T{}, logits[0][k + 2], logits[0][k + 3], logits[1][k + 2], logits[1][k + 3],
                       a, b[2], b[3]);
        }
      }
    }
    __syncthreads();  // the chunks can go
  }

 private:
  // Up to whole matrices, zeros where nothing is there.
  __device__ static void copy_chunk(const TileRows<T>& rows, int column, int head_dim,
                                    T (*chunk)[kDepth + 8]) {
#pragma unroll
    for (int i = threadIdx.x; i < kTileKeys * kPacks; i += kTileThreads) {
      const int row = i / kPacks, offset = i % kPacks * Pack<T>::kSize;
      const bool is_there = row < rows.n && column + offset < head_dim;
      copy_pack_async(chunk[row] + offset, is_there ? rows.at(row) + column + offset : rows.first,
                      is_there);
    }
  }
};

// Calls f with the kind of tile: low ones for few queries where that saves work.
template <class F>
void with_tile(DType dtype, int64_t n_queries, F f) {
  switch (dtype) {
    case DType::kBFloat16:
      return f(TensorTile<__nv_bfloat16>());
    case DType::kFloat16:
      return f(TensorTile<__half>());
    case DType::kFloat32:
      break;
  }
  if (n_queries <= FloatTile<4>::kQueries) return f(FloatTile<4>());
  f(FloatTile<8>());
}

// What each thread has of its keys becomes what all have of key threadIdx.x < kTileKeys: f of them
// one after the other, from zero on. Shared memory is free behind the next barrier.
template <class Tile>
using TileParts = float[kTileThreads / Tile::kLanesOfRow][kTileKeys];
template <class Tile, class F>
__device__ float combine_keys(const float (&of_keys)[Tile::kKeys], TileParts<Tile>& parts, F f) {
#pragma unroll
  for (int k = 0; k < Tile::kKeys; ++k) {
    parts[threadIdx.x / Tile::kLanesOfRow][Tile::key(k)] = of_keys[k];
  }
  __syncthreads();
  float of_all = 0;
  if (threadIdx.x < kTileKeys) {
    for (const auto& part : parts) of_all = f(of_all, part[threadIdx.x]);
  }
  return of_all;
}

}  // namespace kvbench
