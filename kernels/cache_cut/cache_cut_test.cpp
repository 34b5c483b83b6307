#include "kernels/cache_cut/cache_cut.h"

#include <algorithm>
#include <numeric>

#include "kernels/common/test_device.h"

namespace kvbench {
namespace {

struct Cut {
  std::vector<float> keys, values;
  std::vector<int64_t> lengths;
  std::vector<int32_t> source_row;
  bool operator==(const Cut&) const = default;
};

// kept[h] of heads that begin at starts[h], of n_rows rows that hold where they are from.
Cut cut(const std::vector<std::vector<int32_t>>& kept, const std::vector<int64_t>& starts,
        int64_t n_rows, int64_t head_dim, DType dtype, bool reference) {
  std::vector<int32_t> offsets = {0}, positions;
  for (const auto& of_head : kept) {
    positions.insert(positions.end(), of_head.begin(), of_head.end());
    offsets.push_back(static_cast<int32_t>(positions.size()));
  }
  std::vector<float> keys(n_rows * head_dim), values(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    keys[i] = static_cast<float>(i % 251);
    values[i] = -keys[i];
  }
  auto key_bytes = encode(keys, dtype), value_bytes = encode(values, dtype);
  CacheCut op;
  op.n_kv_heads = std::ssize(kept);
  op.head_dim = head_dim;
  op.element_bytes = element_bytes(dtype);
  op.n_positions = std::ssize(positions);
  if (reference) {
    Cut out;
    out.lengths.resize(kept.size());
    out.source_row.resize(positions.size());
    op.positions = positions.data();
    op.offsets = offsets.data();
    op.starts = starts.data();
    op.keys = key_bytes.data();
    op.values = value_bytes.data();
    op.lengths = out.lengths.data();
    op.source_row = out.source_row.data();
    cache_cut_reference(op);
    out.keys = decode(key_bytes, dtype);
    out.values = decode(value_bytes, dtype);
    return out;
  }
  TestArray at(positions), of_heads(offsets);
  TestArray first(starts);
  TestArray cached_keys(key_bytes), cached_values(value_bytes);
  TestArray<int64_t> lengths(kept.size());
  TestArray<int32_t> source_row(positions.size());
  op.positions = at.data();
  op.offsets = of_heads.data();
  op.starts = first.data();
  op.keys = cached_keys.data();
  op.values = cached_values.data();
  op.lengths = lengths.data();
  op.source_row = source_row.data();
  [&] { KVB_RUN(cache_cut, op); }();
  return {decode(cached_keys.read(), dtype), decode(cached_values.read(), dtype), lengths.read(),
          source_row.read()};
}

// `count` of 0 ... n - 1, ascending.
std::vector<int32_t> some_of(int32_t n, int32_t count, uint64_t seed) {
  std::vector<int32_t> rows(n), kept;
  std::iota(rows.begin(), rows.end(), 0);
  std::mt19937_64 generator(seed);
  std::sample(rows.begin(), rows.end(), std::back_inserter(kept), count, generator);
  return kept;
}

TEST(CacheCut, HandWorked) {
  const Cut got = cut({{0, 3, 4, 6}, {1}}, {1, 9}, 12, 1, DType::kFloat32, /*reference=*/false);
  EXPECT_EQ(got.source_row, (std::vector<int32_t>{0, 4, 6, 3, 1}));
  EXPECT_EQ(got.lengths, (std::vector<int64_t>{4, 1}));
  EXPECT_EQ(got.keys, (std::vector<float>{0, 1, 5, 7, 4, 5, 6, 7, 8, 10, 10, 11}));
}

// Heads that keep nothing, one row, all, the first and the last ones; more rows than a block has
// threads; rows of whole packs and odd ones; gaps between heads that nothing may touch.
TEST(CacheCut, EqualsTheReference) {
  for (const DType dtype : kDTypes) {
    for (const int64_t d : {3, 16, 80}) {
      for (const uint64_t seed : {1, 2, 3}) {
        const std::vector<std::vector<int32_t>> kept = {
            {},     some_of(31, 31, seed), some_of(31, 1, seed), some_of(300, 270, seed),
            {0, 1}, {5, 6, 7, 8},          some_of(64, 20, seed)};
        const std::vector<int64_t> starts = {2, 2, 33, 70, 370, 380, 390};
        const Cut got = cut(kept, starts, 460, d, dtype, /*reference=*/false);
        EXPECT_EQ(got, cut(kept, starts, 460, d, dtype, /*reference=*/true)) << d;
      }
    }
  }
}

TEST(CacheCut, NothingStays) {
  const Cut got = cut({{}, {}}, {0, 2}, 4, 2, DType::kFloat32, /*reference=*/false);
  EXPECT_EQ(got.lengths, (std::vector<int64_t>{0, 0}));
}

}  // namespace
}  // namespace kvbench
