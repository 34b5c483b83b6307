#include "kernels/holds_positions/holds_positions.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "kernels/common/test_device.h"

namespace kvbench {
namespace {

struct Case {
  std::vector<int32_t> counts, wanted;
};

// Heads that hold nothing, one, all; positions in any order; what lies behind the last head's.
TEST(HoldsPositions, AsAScanTells) {
  std::vector<int32_t> many(70);
  for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<int32_t>(4 * i + 1);
  const std::vector<Case> cases = {
      {{1}, {0}}, {{0, 31, 300, 1}, {5}}, {{300, 299, 0, 120}, {0, 17, 200, 299}},
      {{0, 0}, {3, 4}}, {{250, 3}, many}};
  std::mt19937 random(7);
  for (const Case& each : cases) {
    const auto n_heads = static_cast<int64_t>(each.counts.size());
    const auto n_wanted = static_cast<int64_t>(each.wanted.size());
    std::vector<int32_t> positions, offsets = {0}, all(300);
    std::vector<uint8_t> want;
    std::iota(all.begin(), all.end(), 0);
    for (const int32_t count : each.counts) {
      std::shuffle(all.begin(), all.end(), random);
      const auto end = all.begin() + count;
      positions.insert(positions.end(), all.begin(), end);
      offsets.push_back(static_cast<int32_t>(positions.size()));
      for (const int32_t w : each.wanted) want.push_back(std::count(all.begin(), end, w));
    }
    positions.push_back(each.wanted[0]);
    TestArray at(positions), of_heads(offsets), watched(each.wanted);
    TestArray out(std::vector<uint8_t>(n_heads * n_wanted, 7));
    HoldsPositions op;
    op.n_heads = n_heads;
    op.n_positions = static_cast<int64_t>(positions.size());
    op.n_wanted = n_wanted;
    op.positions = at.data();
    op.offsets = of_heads.data();
    op.wanted = watched.data();
    op.out = out.data();
    KVB_RUN(holds_positions, op);
    EXPECT_EQ(out.read(), want);
  }
}

}  // namespace
}  // namespace kvbench
