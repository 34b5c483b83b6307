#include "harness/sweep/shard.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/random.h"

namespace kvbench {
namespace {

std::vector<int64_t> loads(const std::vector<int64_t>& lengths, int64_t count) {
  const auto shards = balanced_shards(lengths, count);
  std::vector<int64_t> loads(static_cast<size_t>(count));
  for (size_t i = 0; i < lengths.size(); ++i) {
    loads.at(static_cast<size_t>(shards.at(i) - 1)) += lengths[i];
  }
  return loads;
}

TEST(Shard, LongestFirstToTheLeastLoaded) {
  // 9 to 1, 7 to 2, 6 to 3, 5 to 3 (11), 4 to 2 (11), 3 to 1 (12), 1 to 2 (12).
  EXPECT_EQ(balanced_shards({3, 7, 1, 9, 5, 6, 4}, 3), (std::vector<int64_t>{1, 2, 2, 1, 3, 3, 2}));
  EXPECT_EQ(balanced_shards({5, 5, 5, 5, 5}, 2), (std::vector<int64_t>{1, 2, 1, 2, 1}));
  EXPECT_EQ(balanced_shards({8, 2}, 1), (std::vector<int64_t>{1, 1}));
}

TEST(Shard, LoadsAreWithinGrahamsBound) {
  Random random(3);
  for (const int64_t count : {2, 4, 7, 16}) {
    std::vector<int64_t> lengths;
    for (int64_t i = 0; i < 5 * count; ++i) lengths.push_back(random.between(100, 16000));
    const auto sums = loads(lengths, count);
    const auto all = [&] {
      int64_t sum = 0;
      for (const auto load : sums) sum += load;
      return sum;
    }();
    const double best = std::max<double>(static_cast<double>(all) / static_cast<double>(count),
                                         *std::max_element(lengths.begin(), lengths.end()));
    EXPECT_LE(*std::max_element(sums.begin(), sums.end()), 4.0 / 3 * best);
    EXPECT_GT(*std::min_element(sums.begin(), sums.end()), 0);
  }
}

TEST(Shard, IsRead) {
  EXPECT_EQ(parse_shard("2/4").index, 2);
  EXPECT_EQ(parse_shard("2/4").count, 4);
  EXPECT_EQ(parse_shard("2/4").text(), "2/4");
  EXPECT_EQ(parse_shard("1/1").text(), "1/1");
  EXPECT_EQ(Shard().text(), "");
  for (const char* wrong : {"", "2", "/", "2/", "/4", "0/4", "5/4", "-1/4", "1/0", "1/4x", "1.5/4",
                            "1/4/2", " 1/4", "99999999999999999999/4"}) {
    EXPECT_THROW(parse_shard(wrong), InputError) << wrong;
  }
}

TEST(Shard, HasAFileOfItsOwn) {
  EXPECT_EQ(shard_file("r/a.b.h5", {2, 16}), "r/a.b.shard-2-of-16.h5");
  EXPECT_EQ(shard_file("a.h5", {1, 1}), "a.shard-1-of-1.h5");
  EXPECT_EQ(shard_file("a.h5", {}), "a.h5");
}

}  // namespace
}  // namespace kvbench
