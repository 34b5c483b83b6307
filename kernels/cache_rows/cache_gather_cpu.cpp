#ifdef __SSE2__
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstring>

#include "kernels/cache_rows/cache_gather.h"
#include "kernels/common/rows_cpu.h"

namespace kvbench {
namespace {

constexpr int64_t kAhead = 32;  // rows: the processor foresees no row by those before it

// Past the caches: what is written need not be read first, and other layers come before this one is
// read again. False where the row is not of whole, aligned pieces.
bool stream(const char* from, char* to, int64_t n_bytes) {
  [[maybe_unused]] const auto in_pieces_of = [&](int64_t size, auto copy) {
    if (n_bytes % size != 0 || reinterpret_cast<uintptr_t>(to) % size != 0) return false;
    for (int64_t i = 0; i < n_bytes; i += size) copy(from + i, to + i);
    return true;
  };
#ifdef __AVX512F__  // lines as wholes or halves: a tenth faster
  if (in_pieces_of(64, [](const char* x, char* y) {
        _mm512_stream_si512(reinterpret_cast<__m512i*>(y), _mm512_loadu_si512(x));
      })) {
    return true;
  }
#endif
#ifdef __AVX__
  if (in_pieces_of(32, [](const char* x, char* y) {
        const auto* piece = reinterpret_cast<const __m256i*>(x);
        _mm256_stream_si256(reinterpret_cast<__m256i*>(y), _mm256_loadu_si256(piece));
      })) {
    return true;
  }
#endif
#ifdef __SSE2__
  if (in_pieces_of(16, [](const char* x, char* y) {
        const auto* piece = reinterpret_cast<const __m128i*>(x);
        _mm_stream_si128(reinterpret_cast<__m128i*>(y), _mm_loadu_si128(piece));
      })) {
    return true;
  }
#endif
  return false;
}

void copy_row(const char* from, char* to, int64_t n_bytes) {
  if (!stream(from, to, n_bytes)) std::memcpy(to, from, n_bytes);
}

}  // namespace

void cache_gather_cpu(const CacheGather& op) {
  const int64_t row_bytes = op.head_dim * op.element_bytes;
  const int64_t n_kept = op.offsets[op.n_kv_heads];
  const auto source = [&](const HeadRows& rows, int64_t h, int64_t i) {
    const int64_t at = h * rows.head_stride + op.positions[i] * rows.row_stride;
    return static_cast<const char*>(rows.data) + at * op.element_bytes;
  };
#pragma omp parallel
  {
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n_kept; ++i) {
      int64_t h = 0;
      while (op.offsets[h + 1] <= i) ++h;
      const int64_t ahead = std::min<int64_t>(i + kAhead, op.offsets[h + 1] - 1);
      const int64_t to = (op.starts[h] + i - op.offsets[h]) * row_bytes;
      prefetch(source(op.keys, h, ahead), row_bytes);
      prefetch(source(op.values, h, ahead), row_bytes);
      copy_row(source(op.keys, h, i), static_cast<char*>(op.out_keys) + to, row_bytes);
      copy_row(source(op.values, h, i), static_cast<char*>(op.out_values) + to, row_bytes);
    }
#ifdef __SSE2__
    _mm_sfence();
#endif
  }
}

}  // namespace kvbench
