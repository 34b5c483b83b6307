#include "harness/cache/kv_cache.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <type_traits>

#include "harness/cache/decode_batch.h"

namespace kvbench {
namespace {

// One layer, two KV heads, five tokens of head size 4; head h keeps what `kept` says.
KvCache cut_cache(const Selection& kept) {
  KvCache cache(1);
  const auto keys = at::arange(2 * 5 * 4, at::kFloat).view({2, 5, 4});
  cache.store(0, keys, keys + 100, kept);
  return cache;
}

// Tokens 0 and 3 of the first head, 1, 2 and 4 of the second.
Selection ragged() {
  return {std::vector<int64_t>{2, 3}, at::tensor({0, 3, 1, 2, 4}, at::kInt),
          at::tensor({0, 2, 5}, at::kInt), at::zeros({2}, at::kInt)};
}

TEST(KvCache, HoldsExactlyWhatIsKept) {
  const KvCache cache = cut_cache(ragged());
  EXPECT_EQ(cache.next_position(), 5);  // of the uncompressed context
  EXPECT_EQ(cache.bytes_logical(), 5 * 2 * 4 * 4);
  EXPECT_EQ(cache.bytes_allocated(), cache.bytes_logical());
  EXPECT_TRUE(
      at::equal(cache.layer(0).keys.select(1, 0), at::tensor({0.F, 12.F, 24.F, 28.F, 36.F})));
  EXPECT_TRUE(at::equal(cache.layer(0).values, cache.layer(0).keys + 100));
}

// Counts that only the device knows come later; what was a bound is room of the last head.
TEST(KvCache, LearnsItsLengthsLater) {
  Selection kept = ragged();
  kept.counts = {at::tensor({2, 3}, at::kInt), /*at_most=*/7};
  kept.positions = at::cat({kept.positions, at::zeros({2}, at::kInt)});
  KvCache cache = cut_cache(kept);
  EXPECT_EQ(cache.bytes_allocated(), 7 * 2 * 4 * 4);
  cache.set_lengths(0, {2, 3});
  EXPECT_EQ(cache.layer(0).starts, (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(cache.bytes_logical(), 5 * 2 * 4 * 4);
  EXPECT_EQ(cache.bytes_allocated(), 7 * 2 * 4 * 4);
  EXPECT_TRUE(at::equal(cache.layer(0).keys.select(1, 0).narrow(0, 0, 5),
                        at::tensor({0.F, 12.F, 24.F, 28.F, 36.F})));
  EXPECT_THROW(cache.set_lengths(0, {2, 3}), std::logic_error);
}

TEST(DecodeBatch, MovesCachesTogetherAndKeepsTheirRows) {
  KvCache one = cut_cache(ragged()), other = cut_cache(ragged());
  const auto before = one.layer(0).keys.clone();
  DecodeBatch batch({&one, &other});
  batch.reserve(1);
  const at::Tensor shared = one.layer(0).keys;
  EXPECT_TRUE(other.layer(0).keys.is_same(shared));
  for (const KvCache* cache : {&one, &other}) {
    const auto& layer = cache->layer(0);
    EXPECT_TRUE(at::equal(shared.narrow(0, layer.starts[0], 2), before.narrow(0, 0, 2)));
    EXPECT_TRUE(at::equal(shared.narrow(0, layer.starts[1], 3), before.narrow(0, 2, 3)));
    EXPECT_EQ(cache->bytes_logical(), 5 * 2 * 4 * 4);
    EXPECT_EQ(cache->bytes_allocated(), (5 + 2 * 64) * 2 * 4 * 4);
  }
  batch.reserve(64);  // the block is there
  EXPECT_TRUE(one.layer(0).keys.is_same(shared));
  one.advance(64);
  EXPECT_EQ(one.next_position(), 69);
  EXPECT_EQ(one.attended().most, 67);
  EXPECT_EQ(one.attended().mean(), 66.5);
  EXPECT_THROW(one.advance(1), std::logic_error);
  one.rewind();
  EXPECT_EQ(one.next_position(), 5);
  EXPECT_EQ(one.attended().n_passes, 0);
  EXPECT_EQ(one.layer(0).lengths, (std::vector<int64_t>{2, 3}));
  // One of them alone stays where it is; a copy gets buffers of its own.
  DecodeBatch alone({&other});
  alone.reserve(1);
  EXPECT_TRUE(other.layer(0).keys.is_same(shared));
  EXPECT_EQ(other.clone().bytes_allocated(), 5 * 2 * 4 * 4);
}

TEST(KvCache, IsCopiedByNameOnly) {
  static_assert(!std::is_copy_constructible_v<KvCache> && !std::is_copy_assignable_v<KvCache>);
  const KvCache cache = cut_cache(ragged());
  const KvCache copy = cache.clone();
  const at::Tensor before = cache.layer(0).keys.clone();
  at::Tensor(copy.layer(0).keys).zero_();
  EXPECT_TRUE(at::equal(cache.layer(0).keys, before));
}

TEST(KvCache, RefusesWhatDoesNotFit) {
  KvCache cache = cut_cache(ragged());
  const auto keys = at::zeros({2, 5, 4});
  EXPECT_THROW(cache.store(0, keys, keys, ragged()), std::logic_error);  // twice
  KvCache other(2);
  other.store(0, keys, keys, keep_all(2, 5, at::kCPU));
  EXPECT_THROW(other.store(1, at::zeros({2, 6, 4}), at::zeros({2, 6, 4}), keep_all(2, 6, at::kCPU)),
               std::logic_error);  // another context
  EXPECT_THROW(other.store(1, keys, keys, keep_all(3, 5, at::kCPU)), std::logic_error);
}

}  // namespace
}  // namespace kvbench
