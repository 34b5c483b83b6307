// RULERv2's basic needle tasks, end to end.
#include "tasks/ruler/niah_ruler2.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "tasks/ruler/ruler_task.h"
#include "tasks/ruler/structure_check.h"
#include "tasks/ruler/test_generate.h"
#include "tasks/test_samples.h"

namespace kvbench::ruler {
namespace {

class NiahRuler2Test : public GeneratorTest {
 protected:
  NiahRuler2Test() {
    std::string words;
    for (char c = 'a'; c <= 'z'; ++c) words += fmt::format("{}{}{}\n", c, c, c);
    write("words/adjectivelist.txt", words);
    write("words/nounlist.txt", words);
  }
};

TEST_F(NiahRuler2Test, DistractorsHaveAsManyValuesAsTheNeedle) {
  const std::map<std::string, size_t> tasks = {{"ruler2/mk_niah_basic", 1},
                                               {"ruler2/mv_niah_basic", 4}};
  for (const auto& [task, n_values] : tasks) {
    NiahParameters parameters;
    parameters.num_values = static_cast<int64_t>(n_values);
    for (const int64_t length : {1024, 2048, 4096, 8192}) {
      int64_t longest = 0;
      for (const RulerRecord& record : generate_ruler(task, length, 20, 42, count_tokens)) {
        SCOPED_TRACE(fmt::format("{} length {} sample {}", task, length, record.line));
        const size_t first = record.input.find('\n');
        const size_t last = record.input.rfind('\n');
        const std::string context = record.input.substr(first + 1, last - first - 1);
        const auto needles = find_needles(context, NeedleType::kNumbers);
        EXPECT_EQ(needles.size(), split_lines(context).size());
        std::map<std::string, std::vector<std::string>> values;
        for (const FoundNeedle& needle : needles) {
          values[needle.key].push_back(needle.value);
          EXPECT_EQ(needle.value.size(), 10u);
          EXPECT_NE(needle.value[0], '0');
        }
        const size_t query = record.input.rfind(" for ") + 5;
        const std::string key =
            record.input.substr(query, record.input.find(" mentioned in", query) - query);
        EXPECT_EQ(niah_ruler2_prompt(parameters, context, key), record.prompt());
        EXPECT_EQ(record.answer_prefix, "");
        // Keys are drawn with repetition, so a few have more values; the last may have fewer.
        size_t regular = 0;
        for (const auto& [k, v] : values) regular += v.size() == n_values ? 1 : 0;
        EXPECT_GT(regular, values.size() / 2);
        EXPECT_EQ(record.outputs.size(), n_values);
        for (const std::string& output : record.outputs) {
          EXPECT_TRUE(std::find(values[key].begin(), values[key].end(), output) !=
                      values[key].end());
        }
        const std::string line = niah_needle(NeedleType::kNumbers, key, record.outputs[0]);
        EXPECT_FALSE(context.ends_with(line)) << "a needle is never the last line";
        EXPECT_EQ(record.length, count_tokens(record.prompt())) << "without the answer";
        EXPECT_LE(*record.length, length);
        longest = std::max(longest, *record.length);
      }
      EXPECT_GT(longest, length - 40);
    }
  }
}

// The question's last sentence begins the answer, but the user says it.
TEST_F(NiahRuler2Test, TheWholePromptIsTheUsersTurn) {
  const TaskRequest request = {
      .name = "ruler2/mv_niah_basic", .file = {}, .length = 1024, .samples = 2, .seed = 5};
  for (const Sample& sample : all_samples(request, count_tokens)) {
    EXPECT_EQ(sample.context.back(), '\n');
    EXPECT_TRUE(sample.question.starts_with("What are all the special magic numbers for "));
    EXPECT_TRUE(sample.question.ends_with(" mentioned in the provided text are"));
    EXPECT_EQ(sample.answer_prefix, "");
    EXPECT_EQ(sample.references.size(), 4u);
  }
}

}  // namespace
}  // namespace kvbench::ruler
