#include "harness/base/json_view.h"

#include <gtest/gtest.h>

#include "harness/base/test_util.h"

namespace kvbench {
namespace {

// The complaint of `read` about the JSON text, "" when there is none.
std::string error(const std::string& text, const std::function<void(const JsonView&)>& read) {
  return error_of([&] {
    const nlohmann::json value = parse_json(text, "f");
    read(JsonView(value, "f"));
  });
}

TEST(Json, MalformedTextsAreNamedByByteAndNeverQuoted) {
  const auto complaint = [](const std::string& text) {
    return error_of([&] { parse_json(text, "f"); });
  };
  EXPECT_EQ(complaint("{"), "f: not valid JSON: malformed at byte 2");
  EXPECT_EQ(complaint("[1, NaN]"), "f: not valid JSON: malformed at byte 5");
  EXPECT_EQ(complaint("\"" + std::string(1000, 'x')), "f: not valid JSON: malformed at byte 1002");
  EXPECT_EQ(complaint("[-1e999]"), "f: not valid JSON: a number is too large: '-1e999'");
  EXPECT_LT(complaint("[1" + std::string(1000, '0') + "]").size(), 100u);
  EXPECT_EQ(complaint("\"\xff\"").substr(0, 18), "f: not valid JSON:");
  EXPECT_EQ(complaint(" {\"a\": 1e-999}"), "");  // 0, as everywhere
}

TEST(Json, IntegersAreWhatTheFileSays) {
  const auto complaint = [](const std::string& text) {
    return error(text, [](const JsonView& v) { v.integer(-5, 9); });
  };
  EXPECT_EQ(complaint("-5"), "");
  EXPECT_EQ(complaint("9"), "");
  for (const std::string text : {"-6", "10", "9.0", "1e+300", "true", "null",
                                 "18446744073709551615", "-9223372036854775808", "\"7\""}) {
    EXPECT_EQ(complaint(text), "f: expected an integer from -5 to 9, got " + text);
  }
  EXPECT_EQ(error("[0, 2, 1e9]", [](const JsonView& v) { v.integers(0, 2); }),
            "f: [2]: expected an integer from 0 to 2, got 1000000000.0");
}

TEST(Json, OtherTypes) {
  const auto at = [](const char* key, auto read) {
    return [=](const JsonView& v) { read(v.at(key)); };
  };
  const auto text = at("a", [](const JsonView& v) { v.text(); });
  EXPECT_EQ(error(R"({"a": [[1]]})", text), "f: a: expected a string, got a list");
  EXPECT_EQ(error(R"({"a": {}})", text), "f: a: expected a string, got an object");
  EXPECT_EQ(error(R"({"a": null})", text), "f: \"a\" is missing");
  EXPECT_EQ(error("7", text), "f: expected an object, got 7");
  const auto positive = at("a", [](const JsonView& v) { v.positive(); });
  EXPECT_EQ(error(R"({"a": 1e-5})", positive), "");
  EXPECT_EQ(error(R"({"a": 3})", positive), "");
  EXPECT_EQ(error(R"({"a": 0})", positive), "f: a: expected a positive number, got 0");
  EXPECT_EQ(error(R"({"a": 1e31})", positive),
            "f: a: expected a number from 1e-30 to 1e30, got 1e+31");
  EXPECT_EQ(error(R"({"a": 1e-40})", positive),
            "f: a: expected a number from 1e-30 to 1e30, got 1e-40");
  EXPECT_EQ(error(R"({"a": true})", positive), "f: a: expected a positive number, got true");
  const auto texts = at("a", [](const JsonView& v) { v.texts(); });
  EXPECT_EQ(error(R"({"a": ["x", 3]})", texts), "f: a[1]: expected a string, got 3");
  EXPECT_EQ(error(R"({"a": "x"})", texts), "f: a: expected a list, got \"x\"");
  // Deep or long values are neither walked nor shown.
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_EQ(error("{\"a\": " + deep + "}", text), "f: a: expected a string, got a list");
  EXPECT_LT(error("{\"a\": \"" + std::string(100000, 'x') + "\"}", positive).size(), 120u);
}

TEST(Json, UnknownKeysGetNearMatches) {
  EXPECT_EQ(error(R"({"contex": 1})",
                  [](const JsonView& v) {
                    v.allow_only({"context", "x"});
                  }),
            "f: unknown key \"contex\"; did you mean context? (known: context, x)");
}

TEST(Json, MessagesStayOnOneLine) {
  EXPECT_EQ(error(R"({"a\nb": 1})", [](const JsonView& v) { v.at("a\nb").text(); }),
            "f: a b: expected a string, got 1");
}

TEST(Json, LinesAreCutAtNewlinesOnlyAndCounted) {
  std::vector<int64_t> lines;
  const auto use = [&](const JsonView& record, int64_t line) {
    lines.push_back(line);
    return !record.find("last");
  };
  for_each_json_line("\n{}\r\n \t\r\n{\"a\": \"\u2028\"}\n{}", "f", use);
  EXPECT_EQ(lines, (std::vector<int64_t>{1, 3, 4}));
  lines.clear();
  for_each_json_line("{}\n{\"last\": 1}\n{", "f", use);
  EXPECT_EQ(lines, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(error_of([&] { for_each_json_line("{}\n[]\n", "f", use); }),
            "f:2: expected a JSON object, got an empty list");
  EXPECT_EQ(error_of([&] { for_each_json_line("{}\n\n{", "f", use); }),
            "f:3: not valid JSON: malformed at byte 2");
}

}  // namespace
}  // namespace kvbench
