#include "harness/report/verdicts.h"

#include <gtest/gtest.h>

#include <cmath>

#include "harness/report/test_results.h"

namespace kvbench {
namespace {

using test_results::add;
using test_results::cell;
using test_results::file;

// n scores of which `ones` are 100 and the others 0.
std::vector<double> shares(int n, int ones) {
  std::vector<double> scores(n, 0);
  std::fill(scores.begin(), scores.begin() + ones, 100);
  return scores;
}

Target target(const std::string& policy, double ratio, double value, double tolerance = 5,
              const std::vector<std::string>& tasks = {"vt"}) {
  Target target;
  target.place = "t.yaml:1";
  target.model = "tiny";
  target.protocol = "official";
  target.compress = "context";
  target.policy = policy;
  target.ratio = ratio;
  target.task = tasks.size() == 1 ? tasks[0] : "all";
  target.tasks = tasks;
  target.value = value;
  target.tolerance = tolerance;
  target.source = "a paper";
  target.grade = "A";
  return target;
}

Target sign(const std::string& policy, const std::string& against, Target::Sign sign) {
  Target relation = target(policy, 0.5, NAN);
  relation.against = against;
  relation.sign = sign;
  return relation;
}

Verdicts verdicts(const std::vector<Results>& files, const std::vector<Target>& targets) {
  const Joined joined = join(files);
  return judge(blocks_of(joined), targets);
}

// One column of the table for programs.
std::vector<std::string> column(const Verdicts& verdicts, const std::string& name) {
  const Grid grid = verdicts.table.for_programs();
  size_t at = 0;
  while (grid.columns.at(at).name != name) ++at;
  std::vector<std::string> values;
  for (const auto& row : grid.rows) values.push_back(row.at(at));
  return values;
}

using Texts = std::vector<std::string>;

TEST(Verdict, IsEquivalenceByTheRunsOwnInterval) {
  Target t = target("x", 0.5, 50, 5);
  EXPECT_EQ(verdict({50, 46, 54}, t), "agrees");
  EXPECT_EQ(verdict({50, 45, 55}, t), "agrees");
  EXPECT_EQ(verdict({50, 44, 56}, t), "cannot tell");  // too few samples for this tolerance
  EXPECT_EQ(verdict({54, 52, 56}, t), "cannot tell");
  EXPECT_EQ(verdict({60, 56, 64}, t), "differs");
  EXPECT_EQ(verdict({40, 36, 44}, t), "differs");
  EXPECT_EQ(verdict({50, NAN, NAN}, t), "cannot tell");
  t.n = 100;  // 50 of 100: 9.8 more
  EXPECT_EQ(verdict({60, 56, 64}, t), "cannot tell");
  EXPECT_EQ(verdict({70, 64.9, 75}, t), "differs");
  EXPECT_EQ(verdict({70, 64.7, 75}, t), "cannot tell");
  t.same_samples = true;
  EXPECT_EQ(verdict({60, 56, 64}, t), "differs");
  t.value = NAN;
  EXPECT_EQ(verdict({60, 56, 64}, t), "no target");
}

TEST(Verdict, OfASignIsTheSideOfZero) {
  const Target below = sign("x", "u", Target::Sign::kBelow);
  EXPECT_EQ(verdict({-9, -12, -6}, below), "agrees");
  EXPECT_EQ(verdict({9, 6, 12}, below), "differs");
  EXPECT_EQ(verdict({-9, -20, 2}, below), "cannot tell");
  EXPECT_EQ(verdict({0, NAN, NAN}, below), "cannot tell");
  EXPECT_EQ(verdict({9, 6, 12}, sign("x", "u", Target::Sign::kAbove)), "agrees");
}

// Ten samples that are all right leave room for 34 % of others; a thousand for 0.4 %.
TEST(Judge, AFewEqualAnswersProveNothing) {
  Results a = file("a.h5");
  add(a, cell("vt", "x", 0.5), shares(10, 10));
  add(a, cell("vt", "x", 0.8), shares(1000, 1000));
  const Verdicts made = verdicts({a}, {target("x", 0.5, 100), target("x", 0.8, 100)});
  EXPECT_EQ(column(made, "verdict"), (Texts{"cannot tell", "agrees"}));
}

TEST(Judge, GivesEveryVerdict) {
  Results a = file("a.h5");
  add(a, cell("vt", "x", 0.5), shares(1000, 500));
  add(a, cell("vt", "x", 0.8), shares(1000, 200));
  add(a, cell("vt", "x", 0.9), shares(10, 5));
  add(a, cell("vt", "full", 0), shares(1000, 900));
  const Verdicts made =
      verdicts({a}, {target("x", 0.5, 51), target("x", 0.8, 51), target("x", 0.9, 51),
                     target("x", 0.95, 51), target("full", NAN, 91), target("y", 0.5, NAN)});
  EXPECT_EQ(column(made, "policy"), (Texts{"full", "x", "x", "x", "x", "y"}));
  EXPECT_EQ(column(made, "verdict"),
            (Texts{"agrees", "agrees", "differs", "cannot tell", "not run", "not run"}));
  EXPECT_EQ(column(made, "measured"), (Texts{"90", "50", "20", "50", "", ""}));
  EXPECT_EQ(column(made, "n")[0], "1000");
  EXPECT_EQ(column(made, "source")[1], "a paper");
  ASSERT_EQ(made.remarks.size(), 2U);
  EXPECT_EQ(made.remarks[0], "targets: agrees: 2, differs: 1, cannot tell: 1, not run: 2");
  EXPECT_EQ(made.remarks[1],
            "length 1024, compress context: the full cache agrees with its target");
  const auto grids = made.table.for_people();
  ASSERT_EQ(grids.size(), 2U);
  EXPECT_EQ(grids[0].title, "Targets, length 1024, compress context");
  EXPECT_EQ(grids[0].rows[0][0], "full");
  EXPECT_EQ(grids[0].rows[0][1], "-");
  EXPECT_EQ(grids[1].title, "Targets that were not run");
}

TEST(Judge, TrustsNothingWhereTheFullCacheDiffers) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), shares(1000, 500));
  add(a, cell("vt", "x", 0.5), shares(1000, 500));
  CellRow longer = cell("vt", "x", 0.5);
  longer.max_length = 2048;
  add(a, longer, shares(1000, 500));
  const Verdicts made = verdicts({a}, {target("x", 0.5, 50), target("full", NAN, 90)});
  EXPECT_EQ(column(made, "verdict"), (Texts{"differs", "not trusted", "agrees"}));
  EXPECT_EQ(column(made, "why"), (Texts{"", "the full cache differs; else: agrees", ""}));
  ASSERT_EQ(made.remarks.size(), 3U);
  EXPECT_NE(made.remarks[1].find("differs from its target (vt: 90, here 50.0"), std::string::npos)
      << made.remarks[1];
  EXPECT_NE(made.remarks[1].find("no other verdict is trusted"), std::string::npos);
  EXPECT_NE(made.remarks[2].find("length 2048"), std::string::npos) << made.remarks[2];
  EXPECT_NE(made.remarks[2].find("the full cache was not run"), std::string::npos);
}

TEST(Judge, SaysWhereTheFullCacheProvesNothing) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), shares(10, 5));
  add(a, cell("vt", "x", 0.5), shares(10, 5));
  EXPECT_NE(verdicts({a}, {target("x", 0.5, 50)}).remarks[1].find("has no target"),
            std::string::npos);
  EXPECT_NE(verdicts({a}, {target("x", 0.5, 50), target("full", NAN, NAN)})
                .remarks[1]
                .find("has no target"),
            std::string::npos);
  EXPECT_NE(verdicts({a}, {target("full", NAN, 50)}).remarks[1].find("too few samples"),
            std::string::npos);
}

TEST(Judge, AveragesAGroupThatIsThereWhole) {
  Results a = file("a.h5");
  add(a, cell("vt", "x", 0.5), shares(1000, 200));
  add(a, cell("qa", "x", 0.5), shares(500, 300));  // each task weighs the same
  add(a, cell("vt", "x", 0.8), shares(1000, 200));
  const std::vector<std::string> both = {"vt", "qa"};
  const Verdicts made =
      verdicts({a}, {target("x", 0.5, 40, 5, both), target("x", 0.8, 40, 5, both)});
  EXPECT_EQ(column(made, "verdict"), (Texts{"agrees", "not run"}));
  EXPECT_NEAR(std::stod(column(made, "measured")[0]), 40, 1e-9);
  EXPECT_EQ(column(made, "n")[0], "1500");
  EXPECT_EQ(column(made, "why"), (Texts{"", "1 of 2 tasks"}));
}

TEST(Judge, NeverMixesProtocolsLengthsModesOrModels) {
  Results a = file("a.h5");
  add(a, cell("vt", "x", 0.5), shares(1000, 500));
  Target other = target("x", 0.5, 50);
  other.protocol = "lukv";
  Target longer = target("x", 0.5, 50);
  longer.length = 2048;
  Target prompt = target("x", 0.5, 50);
  prompt.compress = "prompt";
  Target model = target("x", 0.5, 50);
  model.model = "large";
  Target same = target("x", 0.5, 50);
  same.length = 1024;
  const Verdicts made = verdicts({a}, {other, longer, prompt, model, same});
  EXPECT_EQ(column(made, "verdict"), (Texts{"agrees", "not run", "not run", "not run", "not run"}));
  EXPECT_EQ(made.remarks.back(), "1 targets are about large; the results are of tiny");
}

TEST(Judge, ADataSetsNameStandsForItsLength) {
  Results a = file("a.h5");
  CellRow read = cell("vt", "x", 0.5);
  read.source = "ruler-2048/vt/validation.jsonl";
  read.max_length = 0;
  add(a, read, shares(1000, 500));
  Target longer = target("x", 0.5, 50);
  longer.length = 2048;
  EXPECT_EQ(column(verdicts({a}, {longer}), "verdict"), Texts{"not run"});
  longer.data = "ruler-204";
  EXPECT_EQ(column(verdicts({a}, {longer}), "verdict"), Texts{"not run"});
  longer.data = "ruler-2048";
  EXPECT_EQ(column(verdicts({a}, {longer}), "verdict"), Texts{"agrees"});
}

TEST(Judge, ASignIsTakenOnTheSamplesOfBoth) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), shares(200, 200));
  add(a, cell("vt", "u", 0.5), shares(200, 160));
  add(a, cell("vt", "x", 0.5), shares(200, 100));
  const auto below = Target::Sign::kBelow, above = Target::Sign::kAbove;
  const Verdicts made =
      verdicts({a}, {sign("x", "u", below), sign("x", "u", above), sign("x", "full", below),
                     sign("x", "y", below), sign("u", "x", above)});
  EXPECT_EQ(column(made, "verdict"), (Texts{"agrees", "differs", "agrees", "agrees", "not run"}));
  EXPECT_EQ(column(made, "measured"), (Texts{"-30", "-30", "-50", "30", ""}));
  EXPECT_EQ(column(made, "sign")[0], "below");
  EXPECT_EQ(column(made, "against")[0], "u");
  EXPECT_EQ(made.table.for_people().at(0).rows.at(0).at(3), "below u");
}

TEST(Judge, APolicyWithItsOwnBudgetHasNoRatio) {
  Results a = file("a.h5");
  add(a, cell("vt", "window", NAN), shares(1000, 500));
  const Verdicts made = verdicts({a}, {target("window", NAN, 50)});
  EXPECT_EQ(column(made, "verdict"), Texts{"agrees"});
}

}  // namespace
}  // namespace kvbench
