// The ragged KV cache as kernels see it: plain pointers and sizes, no framework types.
//
// A cache holds S sequences with H KV heads each. Their keys lie in one arena of rows of head_dim
// values, their values in another of the same form; KV head h of sequence s occupies the rows
// starts[s*H+h] .. starts[s*H+h] + lengths[s*H+h] - 1 of both. Every head has its own length.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvbench {

// What a tensor's elements are. kFloat16 and kBFloat16 are stored as their 16 bits.
enum class DType { kFloat32, kBFloat16, kFloat16 };

inline int64_t element_bytes(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

// Rows of n heads as tensors hold them, [n_heads, n_rows, head_dim] in any order of the first two:
// strides are in elements, the elements of a row lie side by side. CUDA kernels read 16 bytes at a
// time: the pointer and both strides must be multiples of that.
struct HeadRows {
  const void* data = nullptr;
  int64_t head_stride = 0, row_stride = 0;
};

// One layer of a batch.
struct RaggedCache {
  int64_t n_sequences = 0;  // S
  int64_t n_kv_heads = 0;   // H
  int64_t head_dim = 0;     // d
  int64_t n_rows = 0;       // of each arena
  DType dtype = DType::kFloat32;
  void* keys = nullptr;              // [n_rows, d]
  void* values = nullptr;            // [n_rows, d]
  const int64_t* starts = nullptr;   // [S, H]
  const int64_t* lengths = nullptr;  // [S, H]
};

struct RaggedShape {
  int64_t n_sequences = 0;  // S
  int64_t n_tokens = 0;     // m: new tokens of each sequence in this call
  int64_t n_heads = 0;      // Hq, query heads; a multiple of n_kv_heads
  int64_t n_kv_heads = 0;   // H; query head q reads KV head q / (Hq / H)
  int64_t head_dim = 0;     // d
};

}  // namespace kvbench
