#include "tasks/ruler/ruler_file.h"

#include "tasks/ruler/test_files.h"
#include "tasks/ruler/test_records.h"

namespace kvbench {
namespace {

using ruler::input_error;
using ruler::read_bytes;

constexpr const char* kGood = R"({"input": "q", "outputs": ["a"]})";

TEST(RulerFile, WritesOfficialBytesAndReadsThemBack) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "out.jsonl";
  const RulerRecord record = {.line = 0,
                              .index = 7,
                              .input = "caf\u00e9 \U0001F600 \"x\"\n\t\x7f\x1f\\",
                              .outputs = {"a", "b"},
                              .length = 10,
                              .length_w_model_temp = 12,
                              .answer_prefix = " p",
                              .token_position_answer = 3};
  write_ruler_file(file, {record});
  EXPECT_EQ(read_bytes(file),
            R"({"index": 7, "input": "caf\u00e9 \ud83d\ude00 \"x\"\n\t\u007f\u001f\\", )"
            R"("outputs": ["a", "b"], "length": 10, "length_w_model_temp": 12, )"
            R"("answer_prefix": " p", "token_position_answer": 3})"
            "\n");
  EXPECT_EQ(read_ruler_file(file), std::vector<RulerRecord>{record});
}

TEST(RulerFile, CutsAtNewlinesOnlyAndCountsBlankLines) {
  const TemporaryFolder folder;
  const auto file = folder.write(
      "f", std::string("\n") + kGood + "\r\n \r\n{\"input\": \"a\u2028b\", \"outputs\": [\"\"]}");
  const auto records = read_ruler_file(file);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].line, 1);
  EXPECT_EQ(records[1].line, 3);
  EXPECT_EQ(records[1].input, "a\u2028b");
  EXPECT_FALSE(records[1].answer_prefix.has_value());
  EXPECT_EQ(read_ruler_file(file, 1).size(), 1u);
}

TEST(RulerFile, Ruler2NamesItsFieldsOtherwise) {
  const TemporaryFolder folder;
  const auto file = folder.write(
      "f", R"({"index": 0, "question": "q", "expected_answer": ["1", "2"], "length": 9})");
  RulerRecord expected;
  expected.index = 0;
  expected.input = "q";
  expected.outputs = {"1", "2"};
  expected.length = 9;
  EXPECT_EQ(read_ruler_file(file), std::vector<RulerRecord>{expected});
  const auto bad = folder.write("g", R"({"question": "q"})");
  EXPECT_EQ(input_error([&] { read_ruler_file(bad); }),
            bad.string() + ":1: \"expected_answer\" is missing");
}

TEST(RulerFile, MalformedLinesAreNamed) {
  const TemporaryFolder folder;
  const auto complaint = [&](const std::string& line) {
    const auto file = folder.write("f", std::string(kGood) + "\n" + line + "\n");
    const std::string message = input_error([&] { read_ruler_file(file); });
    const std::string place = file.string() + ":2: ";
    EXPECT_EQ(message.substr(0, place.size()), place) << message;
    EXPECT_LT(message.size(), 400u);
    return message.substr(std::min(place.size(), message.size()));
  };
  EXPECT_EQ(complaint("{"), "not valid JSON: malformed at byte 2");
  EXPECT_EQ(complaint("[1]"), "expected a JSON object, got a list");
  EXPECT_EQ(complaint("null"), "expected a JSON object, got null");
  EXPECT_EQ(complaint(R"({"outputs": ["a"]})"), "\"input\" is missing");
  EXPECT_EQ(complaint(R"({"input": "q"})"), "\"outputs\" is missing");
  EXPECT_EQ(complaint(R"({"input": 1, "outputs": ["a"]})"), "input: expected a string, got 1");
  EXPECT_EQ(complaint(R"({"input": "q", "outputs": []})"),
            "outputs: expected a list of at least one string, got an empty list");
  EXPECT_EQ(complaint(R"({"input": "q", "outputs": "a"})"), "outputs: expected a list, got \"a\"");
  EXPECT_EQ(complaint(R"({"input": "q", "outputs": ["a", null]})"),
            "outputs[1]: expected a string, got null");
  EXPECT_EQ(complaint(R"({"input": "q", "outputs": ["a"], "answer_prefix": 3})"),
            "answer_prefix: expected a string, got 3");
  // Neither is an integer to the reader; as one, 1e300 would be no number at all.
  for (const char* number : {"1.5", "1e300", "true", "18446744073709551615"}) {
    const std::string line = R"({"input": "q", "outputs": ["a"], "length": )";
    EXPECT_TRUE(complaint(line + number + "}").starts_with("length: expected an integer from "));
  }
  EXPECT_EQ(complaint(R"({"input": "q", "outputs": ["a"], "length": 1e999})"),
            "not valid JSON: a number is too large: '1e999'");
  complaint("{\"input\": \"\xff\", \"outputs\": [\"a\"]}");
  complaint("{\"input\": \"" + std::string(10'000'000, 'x'));
  complaint(std::string(100'000, '['));
}

TEST(RulerFile, MissingFilesAndTooFewSamples) {
  const TemporaryFolder folder;
  EXPECT_NE(input_error([&] { read_ruler_file("/no/such.jsonl"); }).find("/no/such.jsonl"),
            std::string::npos);
  EXPECT_NE(input_error([&] { read_ruler_file(folder.path()); }).find("cannot be read"),
            std::string::npos);
  const auto file = folder.write("f", std::string(kGood) + "\n");
  EXPECT_EQ(input_error([&] { read_ruler_file(file, 5); }),
            file.string() + ": 5 samples were asked for, the file has 1");
  const auto empty = folder.write("e", "\n\n");
  EXPECT_EQ(input_error([&] { read_ruler_file(empty); }),
            empty.string() + ": there are no samples in it");
  EXPECT_THROW(write_ruler_file(folder.path() / "no" / "f", {}), InputError);
}

}  // namespace
}  // namespace kvbench
