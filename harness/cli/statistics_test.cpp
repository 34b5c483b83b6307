// What `report` says about certainty, on the quickstart's reference run.
#include "harness/cli/test_process.h"

namespace kvbench {
namespace {

using namespace test_process;
using Words = std::vector<std::string>;

Outcome report(const Words& options) {
  const std::filesystem::path root = KVBENCH_TEST_ROOT;
  Words arguments = {"report", root / "results/reference/quickstart.h5"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  return kvbench("/", arguments);
}

void expect_line(const Outcome& outcome, const std::string& part) {
  expect_done(outcome);
  EXPECT_NE(outcome.out.find(part), std::string::npos) << part << "\nis not in\n" << outcome.out;
}

TEST(Statistics, TheSummaryHasAVerdict) {
  const Outcome summary = report({"--table", "summary"});
  expect_line(summary, "vs full  verdict\n");
  expect_line(summary, "-70.0  worse\n");
  expect_line(summary, "+0.0  cannot tell\n");
}

TEST(Statistics, PairsHaveTiesAndCorrectedPs) {
  const Outcome paired = report({"--table", "paired", "--against", "full"});
  expect_line(paired, "paired with full; p after Holm, family of 10\n");
  expect_line(paired, "wins  ties  losses        p  verdict\n");
  expect_line(paired, "   0    26       4    0.375  cannot tell\n");
}

TEST(Statistics, PowerSaysWhatIsNeeded) {
  const Outcome power = report({"--power", "--width", "10"});
  expect_line(power, "what intervals of +-10 points need");
  // 10 of 10 right: t^2 / (2 (n + t^2)), t(27) = 2.05; 0.1 from 17 on.
  expect_line(power, "      10  10      14.8               17        17");
  expect_line(report({"--power"}), "what intervals of +-5 points need");
  const Outcome csv = report({"--power", "--against", "snapkv", "--format", "csv"});
  expect_line(csv, ",contexts_needed,n_needed,against,difference_half_width,");
  expect_refused(report({"--power", "--against", "snapkw"}), {"--against", "did you mean snapkv?"});
}

TEST(Statistics, CertifySaysOnWhichAssumptions) {
  const Outcome tenth = report({"--certify", "risk=0.3,confidence=0.8"});
  expect_line(tenth, "certify: both assume contexts drawn like those here");
  expect_line(tenth, "with 80 % confidence");
  expect_line(tenth, "largest ratio with a mean loss of at most 0.3");
  const Outcome few = report({"--certify", "risk=0.05"});
  expect_line(few, "       none");
  expect_line(few, "               59\n");
  const Outcome csv = report({"--certify", "risk=0.05", "--format", "csv"});
  expect_line(csv, ",certified_ratio,");
  EXPECT_NE(csv.err.find("certify: "), std::string::npos) << csv.err;
  EXPECT_EQ(csv.out.find("certify: "), std::string::npos) << csv.out;
}

}  // namespace
}  // namespace kvbench
