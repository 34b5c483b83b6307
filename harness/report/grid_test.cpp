#include "harness/report/grid.h"

#include <gtest/gtest.h>

#include "harness/base/error.h"

namespace kvbench {
namespace {

TEST(Grid, EveryFormatEscapesItsOwnMarks) {
  Grid grid;
  grid.columns = {{"a_b", false}, {"n"}};
  grid.rows = {{"x|y, \"z\" 5%", "1"}};
  EXPECT_EQ(render(grid, Format::kMarkdown),
            "| a_b          |   n |\n| ------------ | --: |\n| x\\|y, \"z\" 5% |   1 |\n");
  EXPECT_EQ(render(grid, Format::kCsv), "a_b,n\n\"x|y, \"\"z\"\" 5%\",1\n");
  EXPECT_EQ(render(grid, Format::kLatex),
            "\\begin{tabular}{lr}\n\\toprule\na\\_b                  & n \\\\\n\\midrule\n"
            "x\\textbar{}y, \"z\" 5\\% & 1 \\\\\n\\bottomrule\n\\end{tabular}\n");
}

// Each of these stops pdflatex or prints something else when it is not escaped.
TEST(Grid, LatexEscapesWhatItWouldRead) {
  Grid grid;
  grid.columns = {{"t", false}};
  grid.rows = {{"[&%$#_{}~^\\<>*\n"},
               {"na\xc3\xafve \xe4\xb8\xad \xf0\x9f\x98\x80 \xc2\xa0 \xc3\xbe"}};
  const std::string text = render(grid, Format::kLatex);
  EXPECT_NE(text.find("{[}\\&\\%\\$\\#\\_\\{\\}\\textasciitilde{}\\textasciicircum{}"
                      "\\textbackslash{}\\textless{}\\textgreater{}{*}  \\\\\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("na\xc3\xafve U+4E2D U+1F600 U+00A0 U+00FE"), std::string::npos) << text;
}

TEST(Grid, UnknownFormatsGetNearMatches) { EXPECT_THROW(parse_format("html"), InputError); }

}  // namespace
}  // namespace kvbench
