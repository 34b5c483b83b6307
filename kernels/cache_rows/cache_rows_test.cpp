// Rows into the cache: gather of what is kept, append of what is new, and whole heads elsewhere.
#include "kernels/cache_rows/cache_append.h"
#include "kernels/cache_rows/cache_gather.h"
#include "kernels/cache_rows/cache_move.h"
#include "kernels/common/test_device.h"

namespace kvbench {
namespace {

// Elements that name where they are from.
std::vector<float> numbered(size_t n, DType dtype) {
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = static_cast<float>(i % 251);
  return decode(encode(values, dtype), dtype);
}

// Heads that keep nothing, one row and most; rows of whole packs and odd ones; a gap in the output
// that nothing may touch.
TEST(CacheGather, CopiesKeptRows) {
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    for (const int64_t d : {3, 16, 64, 80}) {
      constexpr int64_t kHeads = 4, kTokens = 37;
      const std::vector<int32_t> offsets = {0, 2, 2, 3, 33};
      std::vector<int32_t> positions = {0, 36, 5};
      for (int32_t i = 0; i < 30; ++i) positions.push_back(i + 3);
      positions.push_back(-7);  // means nothing
      const std::vector<int64_t> starts = {1, 4, 5, 7};
      const auto keys = numbered(kHeads * kTokens * d, dtype);
      auto values = keys;
      for (float& x : values) x = -x;
      TestArray key_bytes(encode(keys, dtype)), value_bytes(encode(values, dtype));
      TestArray at(positions), of_heads(offsets);
      TestArray first(starts);
      const std::vector<uint8_t> before(38 * d * element_bytes(dtype), 0x3f);
      TestArray out_keys(before), out_values(before);
      CacheGather op;
      op.n_kv_heads = kHeads;
      op.n_tokens = kTokens;
      op.head_dim = d;
      op.element_bytes = element_bytes(dtype);
      op.n_rows = 38;
      op.keys = {key_bytes.data(), kTokens * d, d};
      op.values = {value_bytes.data(), kTokens * d, d};
      op.positions = at.data();
      op.offsets = of_heads.data();
      op.starts = first.data();
      op.out_keys = out_keys.data();
      op.out_values = out_values.data();
      KVB_RUN(cache_gather, op);
      auto want_keys = decode(before, dtype), want_values = want_keys;
      for (int64_t h = 0; h < kHeads; ++h) {
        for (int64_t i = offsets[h]; i < offsets[h + 1]; ++i) {
          const int64_t from = (h * kTokens + positions[i]) * d;
          const int64_t to = (starts[h] + i - offsets[h]) * d;
          std::copy_n(keys.begin() + from, d, want_keys.begin() + to);
          std::copy_n(values.begin() + from, d, want_values.begin() + to);
        }
      }
      EXPECT_EQ(decode(out_keys.read(), dtype), want_keys) << d;
      EXPECT_EQ(decode(out_values.read(), dtype), want_values) << d;
    }
  }
}

// New rows as they come out of one projection of queries, keys and values.
TEST(CacheAppend, WritesBehindEachHead) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat16}) {
    for (const int64_t d : {3, 16, 64}) {
      for (const int64_t m : {1, 5}) {
        constexpr int64_t kSequences = 3, kHeads = 2, kOthers = 1;
        const std::vector<int64_t> starts = {0, 20, 33, 50, 70, 71}, lengths = {9, m, 17, 5, m, 11};
        const auto rows = numbered(kSequences * m * (kOthers + 2 * kHeads) * d, dtype);
        const std::vector<uint8_t> before(90 * d * element_bytes(dtype), 0x3f);
        TestArray in(encode(rows, dtype)), keys(before), values(before);
        TestArray first(starts), of_heads(lengths);
        CacheAppend op;
        op.cache = {kSequences,   kHeads,         d, 90, dtype, keys.data(), values.data(),
                    first.data(), of_heads.data()};
        op.n_tokens = m;
        const int64_t of_token = (kOthers + 2 * kHeads) * d;
        op.keys = {in.data() + kOthers * d * element_bytes(dtype), m * of_token, of_token, d};
        op.values = {in.data() + (kOthers + kHeads) * d * element_bytes(dtype), m * of_token,
                     of_token, d};
        KVB_RUN(cache_append, op);
        auto want_keys = decode(before, dtype), want_values = want_keys;
        for (int64_t s = 0; s < kSequences; ++s) {
          for (int64_t h = 0; h < kHeads; ++h) {
            for (int64_t i = 0; i < m; ++i) {
              const int64_t from = (s * m + i) * of_token + (kOthers + h) * d;
              const int64_t to = (starts[s * kHeads + h] + lengths[s * kHeads + h] - m + i) * d;
              std::copy_n(rows.begin() + from, d, want_keys.begin() + to);
              std::copy_n(rows.begin() + from + kHeads * d, d, want_values.begin() + to);
            }
          }
        }
        EXPECT_EQ(decode(keys.read(), dtype), want_keys) << d << ", " << m;
        EXPECT_EQ(decode(values.read(), dtype), want_values) << d << ", " << m;
      }
    }
  }
}

// More heads than one launch takes, empty ones too; what lies between them is nobody's.
TEST(CacheMove, TakesWholeHeads) {
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    for (const int64_t d : {3, 16, 128}) {
      std::vector<CacheMove::Head> heads;
      int64_t rows = 2, out_rows = 1;
      for (int64_t h = 0; h < 70; ++h) {
        heads.push_back({rows, out_rows, h == 5 ? 90 : h % 4});
        rows += heads.back().n_rows;
        out_rows += heads.back().n_rows + 1;
      }
      const auto keys = numbered(rows * d, dtype);
      auto values = keys;
      for (float& x : values) x = -x;
      const std::vector<uint8_t> before(out_rows * d * element_bytes(dtype), 0x3f);
      TestArray key_bytes(encode(keys, dtype)), value_bytes(encode(values, dtype));
      TestArray out_keys(before), out_values(before);
      CacheMove op;
      op.row_bytes = d * element_bytes(dtype);
      op.keys = key_bytes.data();
      op.values = value_bytes.data();
      op.out_keys = out_keys.data();
      op.out_values = out_values.data();
      op.heads = heads;
      KVB_RUN(cache_move, op);
      auto want_keys = decode(before, dtype), want_values = want_keys;
      for (const CacheMove::Head& head : heads) {
        std::copy_n(keys.begin() + head.from * d, head.n_rows * d, want_keys.begin() + head.to * d);
        std::copy_n(values.begin() + head.from * d, head.n_rows * d,
                    want_values.begin() + head.to * d);
      }
      EXPECT_EQ(decode(out_keys.read(), dtype), want_keys) << d;
      EXPECT_EQ(decode(out_values.read(), dtype), want_values) << d;
    }
  }
}

}  // namespace
}  // namespace kvbench
