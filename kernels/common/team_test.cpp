#include "kernels/common/team.h"

#include <gtest/gtest.h>

#include <numeric>
#include <stdexcept>

namespace kvbench {
namespace {

// out[i] += in[i] + 1 for as many as `in` has.
void add_one(const std::vector<int>& in, std::vector<int>& out) {
  on_team(/*is_large=*/true, [&in, &out] {
#pragma omp for schedule(static)
    for (size_t i = 0; i < in.size(); ++i) out[i] += in[i] + 1;
  });
}

TEST(TeamProgram, RunsInOrderWhatWasRecordedAndNothingBefore) {
  std::vector<int> a(1000), b(1000), c(1000);
  int sum = 0;
  const auto pass = [&] {
    add_one(a, b);
    add_one(b, c);  // what the other threads wrote
    by_one_thread([&] { sum += std::accumulate(c.begin(), c.end(), 0); });
    add_one(c, a);
  };
  const TeamProgram program(pass);
  EXPECT_EQ(sum, 0);
  program.run(3);
  EXPECT_EQ(sum, 2000);
  program.run(1);  // a 3, b 1 + 4, c 2 + 6, then a 3 + 9
  EXPECT_EQ(sum, 2000 + 8000);
  EXPECT_EQ(a, std::vector<int>(1000, 12));

  std::vector<int> x(1000), y(1000);
  add_one(x, y);  // no recording any more
  EXPECT_EQ(y, std::vector<int>(1000, 1));
}

TEST(TeamProgram, ThrowsWhatItsWorkThrows) {
  bool went_on = false;
  const TeamProgram program([&] {
    by_one_thread([] { throw std::runtime_error("a reason"); });
    by_one_thread([&] { went_on = true; });
  });
  EXPECT_THROW(program.run(2), std::runtime_error);
  EXPECT_TRUE(went_on);
  EXPECT_THROW(TeamProgram([] { throw std::runtime_error("while it records"); }),
               std::runtime_error);
  by_one_thread([&] { went_on = false; });
  EXPECT_FALSE(went_on);
}

}  // namespace
}  // namespace kvbench
