#include "policies/eviction_rule.h"

#include <gtest/gtest.h>

#include "harness/base/error.h"

namespace kvbench {
namespace {

EvictionRule rule(std::vector<Params::Given> given) {
  Params params("decode", "", std::move(given));
  EvictionRule made(params);
  params.finish();
  return made;
}

// Tokens seen at each cut of a head that is fed its prompt and then one token at a time.
std::vector<int64_t> cuts(const EvictionRule& rule, int64_t n_prompt, int64_t n_tokens) {
  std::vector<int64_t> all;
  int64_t held = n_prompt - 1, since_cut = 0;
  for (int64_t seen = n_prompt; seen <= n_tokens; ++seen) {
    const bool is_prefill = seen == n_prompt;
    ++held;
    since_cut += is_prefill ? 0 : 1;
    const int64_t budget = rule.budget_of(seen, n_prompt);
    if (!rule.is_due({seen - n_prompt, seen, is_prefill ? n_prompt : 1, since_cut}, held, budget)) {
      continue;
    }
    all.push_back(seen);
    held = budget;
    since_cut = 0;
  }
  return all;
}

using Cuts = std::vector<int64_t>;

TEST(EvictionRule, OverflowAndInterval) {
  EXPECT_EQ(cuts(rule({}), 20, 23), (Cuts{21, 22, 23}));
  EXPECT_EQ(cuts(rule({{"budget", "22"}}), 20, 24), (Cuts{23, 24}));
  // Due from 25 on, but not above the budget before 31.
  EXPECT_EQ(cuts(rule({{"when", "interval"}, {"interval", "5"}, {"budget", "30"}}), 20, 40),
            (Cuts{31, 36}));
}

// A grid step at or below the budget is lost: the next one is 128 passes later.
TEST(EvictionRule, GridCountsPassesFromThePrefill) {
  const auto grid = [](const char* budget) {
    return rule({{"when", "grid"}, {"interval", "128"}, {"budget", budget}});
  };
  EXPECT_EQ(cuts(grid("192"), 200, 460), (Cuts{200, 328, 456}));
  EXPECT_EQ(cuts(grid("192"), 20, 410), (Cuts{276, 404}));
  EXPECT_EQ(cuts(grid("192"), 192, 330), (Cuts{320}));
  EXPECT_EQ(
      rule({{"when", "grid"}, {"interval", "8"}, {"budget", "10"}}).is_due({1, 50, 30}, 40, 10),
      false);
}

TEST(EvictionRule, HeldNeverCutsThePrefill) {
  const auto held = rule({{"when", "held"}, {"interval", "64"}, {"budget", "128"}});
  EXPECT_EQ(cuts(held, 300, 400), (Cuts{320, 384}));
  EXPECT_EQ(cuts(held, 128, 260), (Cuts{192, 256}));
  EXPECT_EQ(cuts(held, 192, 260), (Cuts{256}));
}

TEST(EvictionRule, SeenActsInThePassAfterAndAtTheBudget) {
  const auto seen = rule({{"when", "seen"}, {"interval", "128"}, {"budget", "192"}});
  EXPECT_EQ(cuts(seen, 200, 400), (Cuts{200, 257, 385}));
  EXPECT_EQ(cuts(seen, 192, 260), (Cuts{192, 257}));
  EXPECT_EQ(cuts(seen, 100, 400), (Cuts{257, 385}));
}

TEST(EvictionRule, AShareOfTheTokensSeen) {
  const auto share =
      rule({{"when", "grid"}, {"interval", "128"}, {"budget", "192"}, {"share", "0.4"}});
  EXPECT_EQ(share.budget_of(480, 0), 192);
  EXPECT_EQ(share.budget_of(584, 0), 233);
}

TEST(EvictionRule, RefusesWhatHasNoBudget) {
  EXPECT_THROW(rule({{"when", "grid"}}), InputError);
  EXPECT_THROW(rule({{"when", "interval"}, {"share", "0.5"}}), InputError);
  EXPECT_THROW(rule({{"interval", "0"}}), InputError);
}

}  // namespace
}  // namespace kvbench
