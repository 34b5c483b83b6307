#include "tasks/text.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace kvbench {
namespace {

TEST(Text, CollapsesUnicodeWhitespace) {
  EXPECT_EQ(collapse_spaces("\n a\u00a0\u3000b\x1f \xff c\u200b\t"), " a b \xff c\u200b ");
}

TEST(Text, CountsCodePoints) { EXPECT_EQ(count_code_points("aé\u3000\U0001F600"), 4); }

TEST(Text, ReplacesLeftToRight) {
  EXPECT_EQ(replace_all("aaa", "aa", "b"), "ba");
  EXPECT_EQ(replace_all("are all, are", "are", "is"), "is all, is");
}

TEST(Text, FillsEachNameOnce) {
  EXPECT_EQ(fill_template("{a}{b}{a}", {{"a", "{b}"}, {"b", "x"}}), "{b}x{b}");
  EXPECT_THROW(fill_template("{c}", {}), std::logic_error);
}

TEST(Text, CutsAtTheSeparatorOnly) {
  EXPECT_EQ(split_lines("a\r\n\nb"), (std::vector<std::string_view>{"a\r", "", "b"}));
  EXPECT_EQ(split_lines("a\n"), (std::vector<std::string_view>{"a"}));
  EXPECT_TRUE(split_lines("").empty());
}

TEST(Text, StripsAsPythonDoes) {
  EXPECT_EQ(strip_start(" \u3000\n\ta \n"), "a \n");
  EXPECT_EQ(strip_end("\n a \t\u2029 "), "\n a");
  EXPECT_EQ(strip_end(" \n"), "");
  EXPECT_EQ(strip_start(""), "");
  EXPECT_EQ(strip_end("a\u200b"), "a\u200b");  // no white space in Python
  EXPECT_EQ(strip_end("a\xff"), "a\xff");
}

}  // namespace
}  // namespace kvbench
