// Dot products of a tile of queries with a tile of 64 keys, by a block of 128 threads: with tensor
// cores for 16-bit elements, which multiply exactly and add in float32, else by plain float32.
// Logits stay in registers; a tile says which ones a thread has.
#pragma once

#include <bit>

#include "kernels/common/async_copy.cuh"
#include "kernels/common/cuda_common.cuh"
#include "kernels/common/tensor_cores.cuh"

namespace kvbench {

inline constexpr int kTileThreads = 128, kTileKeys = 64, kTileWarps = kTileThreads / kWarp;

// Rows of a tile: those of one head, or of some heads one below the other, each from a multiple of
// 2^log2_rows on. In the place of a row that is not there is another one.
template <class T>
struct TileRows {
  const T* first;
  int64_t head_stride, row_stride;
  int n_rows, n_heads, log2_rows;

  __device__ TileRows(const HeadRows& rows, int head, int row, int n_rows, int n_heads = 1,
                      int log2_rows = 30)
      : first(static_cast<const T*>(rows.data) + head * rows.head_stride + row * rows.row_stride),
        head_stride(rows.head_stride),
        row_stride(rows.row_stride),
        n_rows(n_rows - row),
        n_heads(n_heads),
        log2_rows(log2_rows) {}
  __device__ const T* at(int row) const {
    const int of_head = row & ((1 << log2_rows) - 1);
    return first + min(row >> log2_rows, n_heads - 1) * head_stride +
           min(of_head, n_rows - 1) * row_stride;
  }
  // Whether `count` rows are there, in even steps.
  __device__ bool are_even(int count) const {
    const int of_head = min(count, 1 << log2_rows);
    return of_head <= n_rows && (count == of_head || (n_heads << log2_rows == count &&
                                                      head_stride == row_stride << log2_rows));
  }
};

// What a fetch may leave out, as it is there from the one before: its rows are the same, and shared
// memory has been left alone since.
enum class Kept { kNothing, kQueries, kKeys };

// Logits of kTileKeys keys with kRowsOfWarp queries for each warp, chunk of columns after chunk. A
// thread has kRows x kKeys of them; kLanesOfRow neighbours have a row.
template <class T, int kRowsOfThread, int kKeysOfThread, int kRowsOfWarp_>
struct LogitTile {
  using Element = T;
  static constexpr int kRows = kRowsOfThread, kKeys = kKeysOfThread, kRowsOfWarp = kRowsOfWarp_;
  static constexpr int kLanesOfRow = kTileKeys / kKeys, kQueries = kTileWarps * kRowsOfWarp;
  static constexpr int kRowsAbove = kWarp / kLanesOfRow;
  static constexpr int kPacks = 8, kDepth = kPacks * Pack<T>::kSize;  // of a chunk of columns

  // Two chunks, so that one arrives while the other is multiplied. Packs of rows that are read
  // together, kRowsAbove neighbouring queries or eight keys, change places so that they lie in
  // different banks.
  struct alignas(128) Shared {
    Pack<T> queries[2][kQueries][kPacks], keys[2][kTileKeys][kPacks];
  };
  float logits[kRows][kKeys];

  // Lets the first chunks come that multiply() of the same rows begins with.
  __device__ static void fetch(const TileRows<T>& queries, const TileRows<T>& keys, int head_dim,
                               Shared& shared, Kept kept) {
    if (head_dim > 2 * kDepth) kept = Kept::kNothing;  // the first chunk is there no more
    const Copies copies(queries, keys, head_dim);
    copies.copy(0, shared, kept);
    commit_copies();
    if (kDepth < head_dim) copies.copy(1, shared, kept);
    commit_copies();
  }

  // TileRows::log2_rows of heads of so many queries. A warp has those of one head.
  static int log2_rows(int64_t n_queries) {
    int log2 = std::countr_zero(static_cast<unsigned>(kRowsOfWarp));
    while (1 << log2 < min(n_queries, int64_t{kQueries})) ++log2;
    return log2;
  }

 protected:
  // Calls f(queries, keys, columns) for chunk after chunk.
  template <class F>
  __device__ void for_chunks(const TileRows<T>& queries, const TileRows<T>& keys, int head_dim,
                             Shared& shared, F f) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int k = 0; k < kKeys; ++k) logits[r][k] = 0;
    }
    const int n_chunks = (head_dim + kDepth - 1) / kDepth;
    for (int chunk = 0; chunk < n_chunks; ++chunk) {
      wait_for_copies<1>();
      __syncthreads();  // this chunk is there
      f(shared.queries[chunk % 2], shared.keys[chunk % 2], min(head_dim - chunk * kDepth, kDepth));
      __syncthreads();  // and can go
      if (chunk + 2 < n_chunks) {
        Copies(queries, keys, head_dim).copy(chunk + 2, shared, Kept::kNothing);
      }
      commit_copies();
    }
  }

 private:
  // What a thread copies of a chunk: a pack of every kStep-th row.
  class Copies {
   public:
    __device__ Copies(const TileRows<T>& queries, const TileRows<T>& keys, int head_dim)
        : queries_(queries), keys_(keys), head_dim_(head_dim) {
      // threadIdx.x, asked for each time: what follows from it would take registers all the while.
      asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread_));
    }

    __device__ void copy(int chunk, Shared& shared, Kept kept) const {
      const int buffer = chunk % 2, column = chunk * kDepth;
      if (kept != Kept::kQueries) copy_rows<kRowsAbove>(queries_, column, shared.queries[buffer]);
      if (kept != Kept::kKeys) copy_rows<8>(keys_, column, shared.keys[buffer]);
    }

   private:
    // Up to whole chunks, zeros where there are no columns.
    template <unsigned kTogether, int kCount>
    __device__ void copy_rows(const TileRows<T>& rows, int first_column,
                              Pack<T> (&chunk)[kCount][kPacks]) const {
      constexpr int kStep = kTileThreads / kPacks;
      const unsigned row = thread_ / kPacks, pack = thread_ % kPacks;
      const int column = first_column + static_cast<int>(pack) * Pack<T>::kSize;
      const bool is_there = column < head_dim_;
      Pack<T>* to = &chunk[row][pack ^ row % kTogether];
      if (rows.are_even(kCount)) {
        const T* from = rows.first + row * rows.row_stride + column;
#pragma unroll
        for (int r = 0; r < kCount; r += kStep, from += kStep * rows.row_stride) {
          copy_pack_async(to + r * kPacks, from, is_there);
        }
      } else {
#pragma unroll 1
        for (int r = 0; r < kCount; r += kStep) {
          copy_pack_async(to + r * kPacks, rows.at(static_cast<int>(row) + r) + column, is_there);
        }
      }
    }

    const TileRows<T>&queries_, &keys_;
    int head_dim_;
    unsigned thread_;
  };
};

// Plain float32. Lanes side by side have neighbouring keys, those one above the other neighbouring
// queries, which lie in different banks.
template <int kRowsOfThread, int kKeysOfThread>
struct FloatTile : LogitTile<float, kRowsOfThread, kKeysOfThread,
                             kRowsOfThread * kWarp * kKeysOfThread / kTileKeys> {
  using Base = LogitTile<float, kRowsOfThread, kKeysOfThread,
                         kRowsOfThread * kWarp * kKeysOfThread / kTileKeys>;
  using Base::kRows, Base::kKeys, Base::kLanesOfRow, Base::kRowsAbove, Base::kPacks, Base::logits;
  static constexpr int kBlocks = kRows * kKeys < 64 ? 4 : 3;  // of a multiprocessor, by registers

  __device__ static int row(int r) {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    return warp * Base::kRowsOfWarp + lane / kLanesOfRow + kRowsAbove * r;
  }
  __device__ static int key(int k) {
    return static_cast<int>(threadIdx.x) % kLanesOfRow + kLanesOfRow * k;
  }

  __device__ void multiply(const TileRows<float>& queries, const TileRows<float>& keys,
                           int head_dim, typename Base::Shared& shared) {
    this->for_chunks(queries, keys, head_dim, shared, [&](auto& q, auto& k, int columns) {
#pragma unroll 1
      for (int pack = 0; pack < columns / 4; ++pack) {
        const Pack<float>* first_key = &k[key(0)][pack ^ key(0) % 8];
        const Pack<float>* first_query = &q[row(0)][pack ^ row(0) % kRowsAbove];
        Pack<float> of_keys[kKeys];
#pragma unroll
        for (int j = 0; j < kKeys; ++j) {
          of_keys[j] = load_pack(first_key[j * kLanesOfRow * kPacks].at);
        }
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          const Pack<float> of_query = load_pack(first_query[r * kRowsAbove * kPacks].at);
#pragma unroll
          for (int i = 0; i < 4; ++i) {
#pragma unroll
            for (int j = 0; j < kKeys; ++j) {
              logits[r][j] = fmaf(of_query.at[i], of_keys[j].at[i], logits[r][j]);
            }
          }
        }
      }
    });
  }
};

// Tensor cores: each warp has kMatrices times 16 queries and all keys.
template <class T, int kMatrices>
struct TensorTile : LogitTile<T, 2 * kMatrices, 16, 16 * kMatrices> {
  using Base = LogitTile<T, 2 * kMatrices, 16, 16 * kMatrices>;
  using Base::kRows, Base::kKeys, Base::kLanesOfRow, Base::logits;
  static constexpr int kBlocks = 4;  // of a multiprocessor

  __device__ static int row(int r) {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    return warp * Base::kRowsOfWarp + lane / kLanesOfRow + 8 * r;
  }
  __device__ static int key(int k) {
    return k / 2 * 8 + static_cast<int>(threadIdx.x) % kLanesOfRow * 2 + k % 2;
  }

  __device__ void multiply(const TileRows<T>& queries, const TileRows<T>& keys, int head_dim,
                           typename Base::Shared& shared) {
    // Where this lane's row of the four matrices of a load begins.
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    const int query = warp * Base::kRowsOfWarp + lane % 16, query_pack = lane / 16 ^ lane % 8;
    const int key = lane / 16 * 8 + lane % 8, key_pack = lane / 8 % 2 ^ lane % 8;
    this->for_chunks(queries, keys, head_dim, shared, [&](auto& q, auto& k, int columns) {
#pragma unroll
      for (int pack = 0; pack < Base::kPacks; pack += 2) {
        if (pack * Pack<T>::kSize >= columns) break;
        unsigned a[kMatrices][4];
#pragma unroll
        for (int m = 0; m < kMatrices; ++m) {
          load_matrices(a[m], &q[m * 16 + query][pack ^ query_pack]);
        }
#pragma unroll
        for (int i = 0; i < kKeys; i += 4) {
          unsigned b[4];  // of twice 8 keys
          load_matrices(b, &k[i / 2 * 8 + key][pack ^ key_pack]);
#pragma unroll
          for (int m = 0; m < kMatrices; ++m) {
            auto& low = logits[2 * m];
            auto& high = logits[2 * m + 1];
            multiply_add(T{}, low[i], low[i + 1], high[i], high[i + 1], a[m], b[0], b[1]);
            multiply_add(T{}, low[i + 2], low[i + 3], high[i + 2], high[i + 3], a[m], b[2], b[3]);
          }
        }
      }
    });
  }
};

// f(low) or f(high): a low tile for few queries of n_heads heads, where that saves work.
template <class Low, class High, class F>
void choose_tile(int64_t n_queries, int64_t n_heads, F f) {
  if (n_queries <= Low::kRowsOfWarp || n_heads << High::log2_rows(n_queries) <= Low::kQueries) {
    f(Low());
  } else {
    f(High());
  }
}

// Calls f with a kind of tile.
template <class F>
void with_tile(DType dtype, int64_t n_queries, int64_t n_heads, F f) {
  switch (dtype) {
    case DType::kBFloat16:
      return choose_tile<TensorTile<__nv_bfloat16, 1>, TensorTile<__nv_bfloat16, 2>>(n_queries,
                                                                                     n_heads, f);
    case DType::kFloat16:
      return choose_tile<TensorTile<__half, 1>, TensorTile<__half, 2>>(n_queries, n_heads, f);
    case DType::kFloat32:
      break;
  }
  choose_tile<FloatTile<4, 4>, FloatTile<8, 8>>(n_queries, n_heads, f);
}

// The same where a thread has the logits of two.
template <class F>
void with_tile_of_two(DType dtype, int64_t n_queries, F f) {
  switch (dtype) {
    case DType::kBFloat16:
      return f(TensorTile<__nv_bfloat16, 1>());
    case DType::kFloat16:
      return f(TensorTile<__half, 1>());
    case DType::kFloat32:
      break;
  }
  choose_tile<FloatTile<4, 4>, FloatTile<8, 4>>(n_queries, 1, f);
}

// Logits that sees(r, k) denies become those of no weight.
template <class Tile, class Sees>
__device__ void mask(Tile& tile, Sees sees) {
#pragma unroll
  for (int r = 0; r < Tile::kRows; ++r) {
#pragma unroll
    for (int k = 0; k < Tile::kKeys; ++k) {
      if (!sees(r, k)) tile.logits[r][k] = -INFINITY;
    }
  }
}

// What each thread has of its keys, for all to combine behind a barrier. Parts of a head's rows lie
// one behind the other; the padding spreads them over the banks.
template <class Tile>
struct TileParts {
  static constexpr int kCount = kTileThreads / Tile::kLanesOfRow;
  float at[kCount][kTileKeys + 8];

  __device__ void store(const float (&of_keys)[Tile::kKeys]) {
#pragma unroll
    for (int k = 0; k < Tile::kKeys; ++k) {
      at[threadIdx.x / Tile::kLanesOfRow][Tile::key(k)] = of_keys[k];
    }
  }

  // f of a key's n_parts parts from `first` on, one after the other.
  template <class F>
  __device__ float combine(int key, int first, int n_parts, F f) const {
    float all = at[first][key];
    for (int i = 1; i < n_parts; ++i) all = f(all, at[first + i][key]);
    return all;
  }
};

}  // namespace kvbench
