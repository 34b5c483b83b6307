#include "harness/report/table.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kvbench {
namespace {

using Line = std::vector<std::string>;

TEST(Table, PeopleReadUnitsAndProgramsNumbers) {
  Table table;
  table.columns = {{"", "block"},
                   {"kept", "kept_ratio", Style::kPercent},
                   {"KV MiB", "kv_bytes", Style::kMebibytes},
                   {"vs full", "vs_full", Style::kSigned},
                   {"TPOT ms", "tpot_ms", Style::kFine},
                   {"for eyes", "", Style::kScore}};
  table.sections = {{"one", {{int64_t{1}, 0.25, 3145728.0, 1.25, 2.0 / 3, 1.26}}},
                    {"two", {{int64_t{2}, NAN, int64_t{1048576}, NAN, NAN, NAN}}},
                    {"none", {}}};
  const auto grids = table.for_people();
  ASSERT_EQ(grids.size(), 2U);
  EXPECT_EQ(grids[0].title, "one");
  EXPECT_EQ(grids[0].rows.at(0), (Line{"25.0 %", "3.00", "+1.2", "0.667", "1.3"}));
  EXPECT_EQ(grids[1].rows.at(0), (Line{"-", "1.00", "-", "-", "-"}));
  EXPECT_EQ(render(table.for_programs(), Format::kCsv),
            "block,kept_ratio,kv_bytes,vs_full,tpot_ms\n"
            "1,0.25,3145728,1.25,0.6666666666666666\n2,,1048576,,\n");
}

TEST(Table, OptionalColumnsAreShownWhereTheySaySomething) {
  Table table;
  table.columns = {{"n", "n", Style::kNumber}, {"failed", "n_errors", Style::kNumber, true}};
  table.sections = {{"", {{int64_t{3}, int64_t{0}}}}, {"", {{int64_t{3}, int64_t{2}}}}};
  const auto grids = table.for_people();
  EXPECT_EQ(grids.at(0).columns.size(), 1U);
  EXPECT_EQ(grids.at(1).columns.size(), 2U);
  EXPECT_EQ(table.for_programs().rows.at(0), (Line{"3", "0"}));
}

TEST(Table, PeopleReadLongTextsCutBetweenCharacters) {
  Table table;
  std::string text;
  for (int i = 0; i < 40; ++i) text += "\xc3\xaf";
  table.columns = {{"said", "said"}};
  table.sections = {{"", {{text + "\nend"}}}};
  const std::string cut = table.for_people().at(0).rows.at(0).at(0);
  EXPECT_EQ(cut, text.substr(0, 56) + "...");
  EXPECT_EQ(table.for_programs().rows.at(0).at(0), text + "\nend");
}

}  // namespace
}  // namespace kvbench
