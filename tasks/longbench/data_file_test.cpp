// LongBench's files, sound and damaged.
#include "tasks/longbench/data_file.h"

#include <gtest/gtest.h>

#include "harness/base/files.h"
#include "harness/base/test_util.h"

namespace kvbench::longbench {
namespace {

class LongBenchFile : public testing::Test {
 protected:
  static std::vector<LongBenchItem> read(const std::string& text,
                                         const std::string& metric = "qa_f1_score") {
    InTempDir::write("d.jsonl", text);
    LongBenchSet set;
    set.name = "own";
    set.metric = metric;
    std::vector<LongBenchItem> items;
    for_each_json_line(read_file("d.jsonl"), "d.jsonl", [&](const JsonView& record, int64_t line) {
      items.push_back(read_longbench_item(record, set, line));
      return true;
    });
    return items;
  }
  static std::string error(const std::string& text, const std::string& metric = "qa_f1_score") {
    return error_of([&] { read(text, metric); });
  }

  const InTempDir here_;
};

const std::string kGood =
    R"({"input": "Q?", "context": "C", "answers": ["A", ""], "length": 3, "dataset": "x", )"
    R"("language": "en", "all_classes": null, "_id": "i1", "unknown": {"a": [1]}})";

TEST_F(LongBenchFile, OfficialFields) {
  const auto items =
      read(kGood + "\n\n" + R"({"input": "", "context": "\ud83d\ude00", "answers": ["\u4e2d"], )" +
           R"("all_classes": ["a", "b"]})");
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].id, "i1");
  EXPECT_EQ(items[0].input, "Q?");
  EXPECT_EQ(items[0].context, "C");
  EXPECT_EQ(items[0].answers, (std::vector<std::string>{"A", ""}));
  EXPECT_EQ(items[0].classes.size(), 0u);
  EXPECT_EQ(items[0].length, 3);
  EXPECT_EQ(items[1].line, 2);
  EXPECT_EQ(items[1].context, "😀");
  EXPECT_EQ(items[1].answers, std::vector<std::string>{"中"});
  EXPECT_EQ(items[1].classes, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(items[1].length, std::nullopt);
}

TEST_F(LongBenchFile, LinesEndAtNewlinesAlone) {
  const std::string odd = R"({"input": "a)"
                          "\u2028\u0085"
                          R"(b", "context": "c", "answers": ["d"]})";
  const auto items = read("\ufeff" + odd + "\r\n \r\n" + odd + "\r\n");
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].input,
            "a\u2028\u0085"
            "b");
}

TEST_F(LongBenchFile, ALineOfTenMegabytes) {
  const std::string context(10'000'000, 'x');
  EXPECT_EQ(read(R"({"input": "", "answers": ["a"], "context": ")" + context + "\"}")[0].context,
            context);
}

TEST_F(LongBenchFile, DamageIsNamedWithItsLine) {
  const auto second = [&](const std::string& line) { return error(kGood + "\n" + line); };
  EXPECT_EQ(second("{\"input\": "), "d.jsonl:2: not valid JSON: malformed at byte 11");
  EXPECT_EQ(second("[1]").substr(0, 11), "d.jsonl:2: ");
  EXPECT_EQ(second(R"({"context": "c", "answers": ["a"]})"), "d.jsonl:2: \"input\" is missing");
  EXPECT_EQ(second(R"({"input": "i", "context": null, "answers": ["a"]})"),
            "d.jsonl:2: \"context\" is missing");
  EXPECT_EQ(second(R"({"input": "i", "context": "c"})"), "d.jsonl:2: \"answers\" is missing");
  EXPECT_EQ(second(R"({"input": "i", "context": "", "answers": ["a"]})"),
            "d.jsonl:2: context: expected a text that is not empty");
  EXPECT_EQ(second(R"({"input": "i", "context": "c", "answers": []})"),
            "d.jsonl:2: answers: expected at least one text, got an empty list");
  for (const char* wrong :
       {R"({"input": 1, "context": "c", "answers": ["a"]})",
        R"({"input": "i", "context": ["c"], "answers": ["a"]})",
        R"({"input": "i", "context": "c", "answers": "a"})",
        R"({"input": "i", "context": "c", "answers": [1]})",
        R"({"input": "i", "context": "c", "answers": ["a"], "length": "3"})",
        R"({"input": "i", "context": "c", "answers": ["a"], "length": -1})",
        R"({"input": "i", "context": "c", "answers": ["a"], "all_classes": 1})"}) {
    const std::string message = second(wrong);
    EXPECT_EQ(message.substr(0, 11), "d.jsonl:2: ") << wrong;
    EXPECT_NE(message.find("expected"), std::string::npos) << message;
  }
  EXPECT_NE(second("{\"input\": \"\xff\", \"context\": \"c\", \"answers\": [\"a\"]}")
                .find("d.jsonl:2: not valid JSON"),
            std::string::npos);
  EXPECT_NE(second(R"({"input": "\ud83d", "context": "c", "answers": ["a"]})")
                .find("d.jsonl:2: not valid JSON"),
            std::string::npos);
}

TEST_F(LongBenchFile, AnswersThatTheMetricCannotGrade) {
  EXPECT_EQ(error(kGood, "retrieval_score"),
            "d.jsonl:1: answers: the answer \"A\" has no number behind \"Paragraph \"");
  EXPECT_EQ(error(kGood, "classification_score"),
            "d.jsonl:1: \"all_classes\" is missing, own is graded with it");
}

}  // namespace
}  // namespace kvbench::longbench
