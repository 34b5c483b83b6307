// Products of rows, a tile of them after the other by a block of 128 threads:
//
//   y[r, n] = sum_k a[r, k] b[n, k]
//
// Both run along the summed dimension. The block keeps its 64 rows of a in shared memory; those of
// b pass through it in pieces of 128 bytes a row, the next one on its way while one is multiplied.
// Half types are multiplied on tensor cores, float32 by fused multiply-adds; sums are float32.
#pragma once

#include <type_traits>

#include "kernels/common/async_copy.cuh"
#include "kernels/common/cuda_common.cuh"

namespace kvbench {

inline constexpr int kTileColumns = 64;  // rows of b
inline constexpr int kTileThreads = 128;

// Rows of a matrix: element (r, k) is data[r * stride + k].
template <class Stored>
struct TileRows {
  const Stored* data;
  int64_t stride;
  int n_rows;  // as many as a tile has count; products with others are 0
};

// A piece of rows; behind each 16 bytes, so that neighbouring rows lie in different banks.
template <class T, int kRows>
struct alignas(16) TilePiece {
  static constexpr int kColumns = 128 / sizeof(T);
  T at[kRows][kColumns + Pack<T>::kSize];

  // Columns first ... of `depth`; zeros where there are none. Ready once the thread's copies have
  // been waited for.
  template <class Stored>
  __device__ void load(const TileRows<Stored>& rows, int first, int depth) {
    constexpr int kPacks = kColumns / Pack<T>::kSize, kStep = kTileThreads / kPacks;
    const int row = threadIdx.x / kPacks, column = threadIdx.x % kPacks * Pack<T>::kSize;
    const bool has_column = first + column < depth;
    const Stored* from = rows.data + row * rows.stride + first + column;
#pragma unroll
    for (int r = 0; r < kRows; r += kStep, from += kStep * rows.stride) {
      const bool is_there = has_column && row + r < rows.n_rows;
      if constexpr (std::is_same_v<Stored, T>) {
        copy_pack_async(&at[row + r][column], is_there ? from : rows.data, is_there);
      } else {  // halves become floats, eight bytes at a time
        const int2 bits = is_there ? *reinterpret_cast<const int2*>(from) : int2{};
        const auto* half = reinterpret_cast<const Stored*>(&bits);
        Pack<T> pack;
#pragma unroll
        for (int i = 0; i < Pack<T>::kSize; ++i) pack.at[i] = to_float(half[i]);
        store_pack(pack, &at[row + r][column]);
      }
    }
  }
};

// What a thread holds of a tile: at[i][j] is the product of row(i) of a with row column(j) of b.
// The threads of a row are kLanesOfRow neighbours in kParts warps.
template <class T>
struct Tile;

template <class T>
using PieceOfA = TilePiece<T, Tile<T>::kHeight>;
template <class T>
using PieceOfB = TilePiece<T, kTileColumns>;

template <>
struct Tile<float> {
  static constexpr int kHeight = 64;
  static constexpr int kRows = 8, kColumns = 4, kLanesOfRow = 16, kParts = 1;
  float at[kRows][kColumns];

  __device__ static int row(int i) { return threadIdx.x / 16 + 8 * i; }
  __device__ static int column(int j) { return threadIdx.x % 16 + 16 * j; }
  __device__ static int part() { return 0; }

  __device__ void add(const PieceOfA<float>& a, const PieceOfB<float>& b, int depth) {
    for (int k = 0; k < depth; k += 4) {
      Pack<float> of_b[kColumns];
#pragma unroll
      for (int j = 0; j < kColumns; ++j) of_b[j] = load_pack(&b.at[column(j)][k]);
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const Pack<float> of_a = load_pack(&a.at[row(i)][k]);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
#pragma unroll
          for (int j = 0; j < kColumns; ++j) at[i][j] += of_a.at[e] * of_b[j].at[e];
        }
      }
    }
  }
};

// Four matrices of 8 x 8 halves; lane l gives the address of row l % 8 of matrix l / 8.
__device__ inline void load_matrices(const void* row, unsigned (&parts)[4]) {
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(parts[0]), "=r"(parts[1]), "=r"(parts[2]), "=r"(parts[3])
               : "r"(address)
               : "memory");
}

// sums (16 x 8) += a (16 x 16) b (16 x 8), the operands as PTX lays them out for mma.m16n8k16.
template <class T>
__device__ void multiply_add(float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  if constexpr (std::is_same_v<T, __half>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

// A warp has a quarter of the tile, 64 x 32: 4 x 4 results of mma.
template <class T>
struct Tile {
  static constexpr int kHeight = 128;
  static constexpr int kRows = 8, kColumns = 8, kLanesOfRow = 4, kParts = 2;
  float at[kRows][kColumns];

  __device__ static int lane() { return threadIdx.x % kWarp; }
  __device__ static int first_row() { return threadIdx.x / kWarp / 2 * 64; }
  __device__ static int part() { return threadIdx.x / kWarp % 2; }
  __device__ static int row(int i) { return first_row() + i * 8 + lane() / 4; }
  __device__ static int column(int j) { return part() * 32 + j / 2 * 8 + lane() % 4 * 2 + j % 2; }

  __device__ void add(const PieceOfA<T>& a, const PieceOfB<T>& b, int depth) {
#pragma unroll
    for (int k = 0; k < PieceOfB<T>::kColumns; k += 16) {
      if (k >= depth) break;
      unsigned of_b[2][4];  // of 16 columns: k, k + 8 of the first eight, and of the others
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        load_matrices(
            &b.at[part() * 32 + n * 16 + lane() / 16 * 8 + lane() % 8][k + lane() / 8 % 2 * 8],
            of_b[n]);
      }
#pragma unroll
      for (int m = 0; m < 4; ++m) {
        unsigned of_a[4];
        load_matrices(&a.at[first_row() + m * 16 + lane() % 16][k + lane() / 16 * 8], of_a);
#pragma unroll
        for (int n = 0; n < 4; ++n) {
          float sums[4];
#pragma unroll
          for (int x = 0; x < 4; ++x) sums[x] = at[2 * m + x / 2][2 * n + x % 2];
          multiply_add<T>(sums, of_a, of_b[n / 2][n % 2 * 2], of_b[n / 2][n % 2 * 2 + 1]);
#pragma unroll
          for (int x = 0; x < 4; ++x) at[2 * m + x / 2][2 * n + x % 2] = sums[x];
        }
      }
    }
  }
};

template <class T>
__host__ __device__ int tile_pieces(int depth) {
  return (depth + PieceOfB<T>::kColumns - 1) / PieceOfB<T>::kColumns;
}

// The shared memory of multiply_tiles: a's pieces and two of b's.
template <class T>
size_t tile_bytes(int depth) {
  return sizeof(PieceOfA<T>) * tile_pieces<T>(depth) + 2 * sizeof(PieceOfB<T>);
}

// Above 48 KiB a kernel has to be allowed it.
template <class Kernel>
void allow_shared(Kernel* kernel, size_t bytes) {
  constexpr size_t kAlways = 48 * 1024;
  if (bytes <= kAlways) return;
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       static_cast<int>(bytes));
}

// Calls f(t, products of a with rows_of(t)) for t = 0 ... n_tiles - 1, until it returns false. All
// threads of the block do, and get the same answer.
template <class T, class Stored, class RowsOf, class F>
__device__ void multiply_tiles(void* shared, const TileRows<Stored>& a, int depth, int n_tiles,
                               RowsOf rows_of, F f) {
  const int n_pieces = tile_pieces<T>(depth);
  auto* of_a = static_cast<PieceOfA<T>*>(shared);
  auto* of_b = reinterpret_cast<PieceOfB<T>*>(of_a + n_pieces);
  for (int k = 0; k < n_pieces; ++k) of_a[k].load(a, k * PieceOfB<T>::kColumns, depth);
  auto b = rows_of(0);
  of_b[0].load(b, 0, depth);
  commit_copies();
  Tile<T> tile = {};
  int piece = 0, buffer = 0;
  for (int t = 0; t < n_tiles;) {
    const int next_piece = piece + 1 == n_pieces ? 0 : piece + 1, next = t + (next_piece == 0);
    if (next < n_tiles) {
      if (next != t) b = rows_of(next);
      of_b[1 - buffer].load(b, next_piece * PieceOfB<T>::kColumns, depth);
    }
    commit_copies();
    wait_for_copies<1>();
    __syncthreads();
    tile.add(of_a[piece], of_b[buffer],
             min(depth - piece * PieceOfB<T>::kColumns, PieceOfB<T>::kColumns));
    if (next_piece == 0) {
      if (!f(t, tile)) break;
      tile = {};
    }
    __syncthreads();
    piece = next_piece;
    buffer = 1 - buffer;
    t = next;
  }
  wait_for_copies<0>();
}

// parts[part][row] := x[i] of a row's threads combined, for all rows.
template <class T, class X, class Combine>
__device__ void combine_rows(const X (&x)[Tile<T>::kRows],
                             X (&parts)[Tile<T>::kParts][Tile<T>::kHeight], Combine combine) {
#pragma unroll
  for (int i = 0; i < Tile<T>::kRows; ++i) {
    X all = x[i];
#pragma unroll
    for (int distance = Tile<T>::kLanesOfRow / 2; distance > 0; distance /= 2) {
      all = combine(all, __shfl_xor_sync(kWholeWarp, all, distance));
    }
    if (threadIdx.x % Tile<T>::kLanesOfRow == 0) parts[Tile<T>::part()][Tile<T>::row(i)] = all;
  }
}

}  // namespace kvbench
