#include "harness/cache/kv_cache.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <type_traits>

namespace kvbench {
namespace {

// One layer, two KV heads, five tokens of head size 4; head h keeps what `kept` says.
KvCache cut_cache(const KeptTokens& kept) {
  KvCache cache(1);
  const auto keys = at::arange(2 * 5 * 4, at::kFloat).view({2, 5, 4});
  cache.store(0, keys, keys + 100, kept);
  return cache;
}

KeptTokens ragged() {
  KeptTokens kept;
  kept.positions = {0, 3, 1, 2, 4};
  kept.offsets = {0, 2, 5};
  return kept;
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

TEST(KvCache, GrowsByBlocksAndKeepsItsRows) {
  KvCache cache = cut_cache(ragged());
  const auto before = cache.layer(0).keys.clone();
  EXPECT_TRUE(cache.reserve(1));
  EXPECT_FALSE(cache.reserve(64));  // the block is there
  const auto& layer = cache.layer(0);
  EXPECT_TRUE(at::equal(layer.keys.narrow(0, layer.starts[0], 2), before.narrow(0, 0, 2)));
  EXPECT_TRUE(at::equal(layer.keys.narrow(0, layer.starts[1], 3), before.narrow(0, 2, 3)));
  EXPECT_EQ(cache.bytes_logical(), 5 * 2 * 4 * 4);
  cache.advance(64);
  EXPECT_EQ(cache.next_position(), 69);
  EXPECT_THROW(cache.advance(1), std::logic_error);
  cache.rewind();
  EXPECT_EQ(cache.next_position(), 5);
  EXPECT_EQ(layer.lengths, (std::vector<int64_t>{2, 3}));
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
  other.store(0, keys, keys, keep_all(2, 5));
  EXPECT_THROW(other.store(1, at::zeros({2, 6, 4}), at::zeros({2, 6, 4}), keep_all(2, 6)),
               std::logic_error);  // another context
  EXPECT_THROW(other.store(1, keys, keys, keep_all(3, 5)), std::logic_error);
}

}  // namespace
}  // namespace kvbench
