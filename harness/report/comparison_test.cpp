#include "harness/report/comparison.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kvbench {
namespace {

Pairs pairs(const std::vector<double>& mine, const std::vector<double>& theirs,
            const std::string& task) {
  Pairs all;
  for (size_t i = 0; i < mine.size(); ++i) {
    for (Stratum* stratum : {&all.scores, &all.differences}) {
      stratum->contexts.push_back(task + std::to_string(i));
    }
    all.scores.values.push_back(mine[i]);
    all.differences.values.push_back(mine[i] - theirs[i]);
  }
  return all;
}

TEST(Comparison, CountsSamplesAndContexts) {
  Pairs first = pairs({100, 50, 0, 20}, {0, 50, 50, 10}, "a");
  first.scores.contexts[3] = first.differences.contexts[3] = "a0";
  const Comparison c = compare({first, pairs({10, 20}, {10, 10}, "b")});
  EXPECT_EQ(c.n, 6);
  EXPECT_EQ(c.n_contexts, 5);
  EXPECT_EQ(c.wins, 3);
  EXPECT_EQ(c.ties, 2);
  EXPECT_EQ(c.losses, 1);
  EXPECT_DOUBLE_EQ(c.score, (170.0 / 4 + 15) / 2);
  EXPECT_DOUBLE_EQ(c.difference.mean, (60.0 / 4 + 5) / 2);
  // Parts 110 / 8, -50 / 8, 10 / 4: only all signs turned reach the sum... and those of 20 / 8.
  EXPECT_EQ(c.p, 6.0 / 8);
}

TEST(Comparison, OfAMissingTaskIsNothing) {
  const Comparison c = compare({pairs({1}, {2}, "a"), Pairs{}});
  EXPECT_EQ(c.n, 0);
  EXPECT_TRUE(std::isnan(c.p));
  EXPECT_EQ(compare({}).n, 0);
}

TEST(Comparison, NothingIsInNoFamily) {
  const std::vector<double> six(6, 1.0), zero(6, 0.0);
  std::vector<Comparison> family = {compare({pairs(six, zero, "a")}), compare({})};
  judge_family(family);
  EXPECT_EQ(family[0].p, 2.0 / 64);
  EXPECT_EQ(family[0].p_holm, 2.0 / 64);
  EXPECT_EQ(family[0].verdict, "better");
  EXPECT_EQ(family[1].verdict, "");
}

TEST(Comparison, SmallPsAreNotZero) {
  EXPECT_EQ(p_text(0.0004), "< 0.001");
  EXPECT_EQ(p_text(0.0456), "0.046");
  EXPECT_EQ(p_text(NAN), "");
}

}  // namespace
}  // namespace kvbench
