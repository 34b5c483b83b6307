#include "harness/base/text.h"

#include <gtest/gtest.h>

#include <string>

namespace kvbench {
namespace {

// The parts of a text: their lengths, "!" before those that are not well formed.
std::string parts(std::string_view text) {
  std::string all;
  for (size_t i = 0; i < text.size();) {
    const Utf8Part part = utf8_part(text, i);
    all += (part.valid ? "" : "!") + std::to_string(part.length);
    i += part.length;
  }
  EXPECT_EQ(is_valid_utf8(text), all.find('!') == all.npos);
  return all;
}

TEST(Utf8, WellFormed) {
  EXPECT_EQ(parts("a\u00e9\u20ac\U0001F600\x7f"), "12341");
  EXPECT_EQ(parts("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\xf0\x90\x80\x80"), "3344");
  EXPECT_EQ(parts(std::string_view("\0", 1)), "1");
}

// Each error is the longest start of a well-formed sequence (Unicode, table 3-8).
TEST(Utf8, IllFormed) {
  EXPECT_EQ(parts("\xc0\xaf"), "!1!1");              // overlong
  EXPECT_EQ(parts("\xe0\x80\xaf"), "!1!1!1");        // overlong
  EXPECT_EQ(parts("\xf0\x80\x80\x80"), "!1!1!1!1");  // overlong
  EXPECT_EQ(parts("\xed\xa0\x80"), "!1!1!1");        // a surrogate
  EXPECT_EQ(parts("\xf4\x91\x92\x93"), "!1!1!1!1");  // above U+10FFFF
  EXPECT_EQ(parts("\xf5\xff\x80"), "!1!1!1");
  EXPECT_EQ(parts("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), "!2!1!3!21");
  EXPECT_EQ(parts("\xe2\x82"), "!2");  // cut at the end
  EXPECT_EQ(parts("\xf0\x9f\x98"), "!3");
  EXPECT_EQ(parts("\xc3"), "!1");
}

}  // namespace
}  // namespace kvbench
