#include "tasks/own/own_task.h"

#include <gtest/gtest.h>

#include "harness/base/paths.h"
#include "tasks/ruler/test_files.h"
#include "tasks/test_samples.h"

namespace kvbench {
namespace {

class OwnTaskTest : public testing::Test {
 protected:
  std::vector<Sample> read(const std::string& lines, int64_t samples = 0) {
    return all_samples({.name = "own/contains_all",
                        .file = folder_.write("data.jsonl", lines),
                        .samples = samples});
  }
  // What is wrong with the lines, without the folder's name.
  std::string refusal(const std::string& lines, int64_t samples = 0) {
    const std::string what = ruler::input_error([&] { read(lines, samples); });
    const std::string before = folder_.path().string() + "/";
    EXPECT_TRUE(what.starts_with(before + "data.jsonl")) << what;
    return what.substr(std::min(what.size(), before.size()));
  }

  TemporaryFolder folder_;
};

const std::string kGood = R"({"context": "The sky is blue.", "question": "Which colour?", )"
                          R"("answers": ["blue", "azure"]})";

TEST_F(OwnTaskTest, ALineIsASample) {
  const auto samples =
      read(kGood + "\n\n" +
           R"({"max_new_tokens": 8, "answer_prefix": "It is", "question": "?", "context": "a\n", )"
           R"("answers": ["b"]})");
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(samples[0].id, 0);
  EXPECT_EQ(samples[0].context, "The sky is blue.");
  EXPECT_EQ(samples[0].question, "\nWhich colour?");  // on a line of its own
  EXPECT_EQ(samples[0].answer_prefix, "");
  EXPECT_EQ(samples[0].references, (std::vector<std::string>{"blue", "azure"}));
  EXPECT_EQ(samples[0].max_new_tokens, 64);  // the task's
  EXPECT_EQ(samples[1].id, 2);               // blank lines count
  EXPECT_EQ(samples[1].answer_prefix, "It is");
  EXPECT_EQ(samples[1].max_new_tokens, 8);
  EXPECT_EQ(read(kGood + "\n" + kGood, 1).size(), 1U);
}

TEST_F(OwnTaskTest, GradesByWhatIsContained) {
  const std::vector<std::string> references = {"blue", "azure"};
  EXPECT_EQ(
      grade(find_task("own/contains_all").protocol({}).grading.metric, "It is Blue.", references),
      50);
  EXPECT_EQ(
      grade(find_task("own/contains_any").protocol({}).grading.metric, "It is Blue.", references),
      100);
  EXPECT_EQ(
      grade(find_task("own/contains_any").protocol({}).grading.metric, "It is red.", references),
      0);
}

TEST_F(OwnTaskTest, MistakesAreNamedWithTheirLine) {
  const auto has = [&](const std::string& lines, const std::string& line, const std::string& part) {
    const std::string what = refusal(lines);
    EXPECT_TRUE(what.starts_with("data.jsonl:" + line)) << what;
    EXPECT_NE(what.find(part), std::string::npos) << what;
  };
  has(kGood + "\n{\"context\": \"a\"}", "2", "question");
  has(kGood + "\n{\"context\": ", "2", "JSON");
  has(R"({"context": "a", "question": "b", "answer": ["c"]})", "1",
      "unknown key \"answer\"; did you mean");
  has(R"({"context": "a", "question": "b", "answers": []})", "1", "answers");
  has(R"({"context": "a", "question": "b", "answers": "c"})", "1", "answers");
  has(R"({"context": "a", "question": "b", "answers": [""]})", "1", "answers");
  has(R"({"context": "", "question": "b", "answers": ["c"]})", "1", "context");
  has(R"({"context": "a", "question": 7, "answers": ["c"]})", "1", "question");
  has(R"({"context": "a", "question": "b", "answers": ["c"], "max_new_tokens": 0})", "1",
      "max_new_tokens");
}

TEST_F(OwnTaskTest, TooFewLines) {
  EXPECT_EQ(refusal("\n"), "data.jsonl: there are no samples in it");
  EXPECT_EQ(refusal(kGood, 2), "data.jsonl: 2 samples were asked for, the file has 1");
}

TEST_F(OwnTaskTest, NothingIsGenerated) {
  const std::string what =
      ruler::input_error([&] { all_samples({.name = "own/contains_any", .length = 1024}); });
  EXPECT_NE(what.find("expected file"), std::string::npos) << what;
}

TEST_F(OwnTaskTest, TheExampleIsGood) {
  const auto samples =
      all_samples({.name = "own/contains_all", .file = project_root() / "configs/own_data.jsonl"});
  EXPECT_EQ(samples.size(), 3U);
}

// configs/own_task.yaml names configs/own_task_rules.yaml so.
TEST_F(OwnTaskTest, RulesOfOnesOwn) {
  const Task& task = add_task(project_root() / "configs/own_task_rules.yaml");
  EXPECT_EQ(task.name(), "own/own_task_rules");
  EXPECT_EQ(&add_task(project_root() / "configs/own_task_rules.yaml"), &task);
  EXPECT_EQ(&find_task("own/own_task_rules"), &task);
  const auto source = task.open({.file = project_root() / "configs/own_data.jsonl"}, {});
  const Protocol& rules = source->protocol();
  EXPECT_EQ(rules.grading.metric, "qa_f1_score");
  EXPECT_TRUE(rules.grading.first_line);
  EXPECT_EQ(rules.stop.ends, StopRule::Ends::kEosOrNewline);
  const Sample sample = source->sample(0);
  EXPECT_TRUE(sample.question.starts_with("\nQuestion: ")) << sample.question;
  EXPECT_TRUE(sample.question.ends_with("\nAnswer in a few words.")) << sample.question;
  EXPECT_EQ(sample.max_new_tokens, 16);
  const std::string other = ruler::input_error([&] {
    add_task(folder_.write("contains_all.yaml", "metric: qa_f1_score\nmax_new_tokens: 8\n"));
  });
  EXPECT_NE(other.find("a task own/contains_all is there already"), std::string::npos) << other;
}

TEST_F(OwnTaskTest, EveryRuleIsRead) {
  const auto task = load_own_task(
      "own/x", folder_.write("x.yaml",
                             "metric: rouge_score\nparameters: {recursion_limit: none}\n"
                             "max_new_tokens: 8\ncontext: \"Text: {context}\"\n"
                             "chat_template: false\nprefix_in_turn: true\nend: newline\n"
                             "first_token: excluded\nstrip_start: true\nexact: false\n"));
  const auto source = task->open({.file = folder_.write("d.jsonl", kGood), .max_length = 50}, {});
  const Protocol& rules = source->protocol();
  EXPECT_EQ(describe(rules.prompt),
            "no chat template, answer prefix before the end of the user turn, context and question "
            "tokenised apart, context's end cut off above 50 tokens");
  EXPECT_EQ(describe(rules.stop),
            "ends at the tokenizer's EOS or a newline, which are never the first token");
  EXPECT_EQ(describe(rules.grading),
            "rouge_score recursion_limit=none, white space stripped at the start");
  EXPECT_FALSE(rules.grading.exact_too);
  EXPECT_EQ(source->sample(0).context, "Text: The sky is blue.");
}

TEST_F(OwnTaskTest, AnOptionOfAnotherBenchmarkIsRefused) {
  const TaskRequest request = {
      .name = "own/contains_all", .file = folder_.write("d.jsonl", kGood), .answer_prefix = false};
  const std::string what = ruler::input_error([&] { all_samples(request); });
  EXPECT_NE(what.find("answer_prefix: off"), std::string::npos) << what;
}

TEST_F(OwnTaskTest, EqualContextsShareAKey) {
  const std::string other = R"({"context": "Grass.", "question": "?", "answers": ["a"]})";
  const auto source =
      find_task("own/contains_all")
          .open({.file = folder_.write("d.jsonl", kGood + "\n" + other + "\n" + kGood + "\n")}, {});
  EXPECT_EQ(source->context_key(0), source->context_key(2));
  EXPECT_NE(source->context_key(0), source->context_key(1));
}

TEST_F(OwnTaskTest, ATasksFileIsReadStrictly) {
  const auto refuse = [&](const std::string& yaml, const std::string& part) {
    const std::string what =
        ruler::input_error([&] { load_own_task("own/x", folder_.write("x.yaml", yaml)); });
    EXPECT_NE(what.find(part), std::string::npos) << what;
  };
  refuse("metric: string_match_al\nmax_new_tokens: 8\n", "did you mean string_match_all");
  refuse("metric: string_match_all\n", "max_new_tokens");
  refuse("metrik: string_match_all\nmax_new_tokens: 8\n", "metric");
  refuse("metric: rouge_score\nmax_new_tokens: 8\nparameters: {recursion: none}\n",
         "recursion_limit");
  refuse("metric: rouge_score\nmax_new_tokens: 8\nquestion: \"{context}?\"\n",
         "x.yaml:3: question: expected {question}, got \"{context}\"");
  refuse("metric: rouge_score\nmax_new_tokens: 8\nend: newlin\n", "did you mean newline");
}

TEST_F(OwnTaskTest, AMetricOfThePredictionAloneNeedsNoAnswers) {
  const auto task = load_own_task("own/story", folder_.write("story.yaml",
                                                             "metric: distinct_ngrams\n"
                                                             "max_new_tokens: 8\nend: never\n"));
  const std::string line = R"({"context": "A ship.", "question": "Go on.")";
  const auto source = task->open({.file = folder_.write("d.jsonl", line + "}\n")}, {});
  EXPECT_TRUE(source->sample(0).references.empty());
  EXPECT_EQ(describe(source->protocol().stop), "never ends before its most tokens");
  const std::string what = ruler::input_error([&] {
    task->open({.file = folder_.write("e.jsonl", line + R"(, "answers": [])" + "}\n")}, {});
  });
  EXPECT_NE(what.find("expected at least one text"), std::string::npos) << what;
}

}  // namespace
}  // namespace kvbench
