// The generators of the niah family and vt, end to end. Outside data is replaced by small texts of
// the same form.
#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "harness/base/paths.h"
#include "tasks/ruler/ruler_task.h"
#include "tasks/ruler/structure_check.h"
#include "tasks/ruler/test_generate.h"
#include "tasks/test_samples.h"

namespace kvbench::ruler {
namespace {

std::string small_essay() {
  std::string text;
  for (int i = 0; i < 300; ++i) {
    text += fmt::format(
        "This is what sentence {} of the essay has to say to its patient reader. Is it "
        "\"true?\"\n\n"
        "There is a note on that in the back of the book.[{}] Yes, it may well be so!\n",
        i, i);
  }
  return text;
}

// Bytes that are no blanks: unlike the blanks they do not depend on where needles were put.
int64_t ink(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return c != ' '; });
}

class Generators : public GeneratorTest {
 protected:
  Generators() {
    write("essays/a.txt", small_essay());
    write("words/adjectivelist.txt", "red\nad hoc\nquick\nquizzical\ntiny\n");
    write("words/nounlist.txt", "SUV\njalape\u00f1o\nfox\nzoot-suit\nconundrum\nox\n");
    write("words/verblist.txt", "run\n");
  }

  std::string bytes(const std::string& task, int64_t length, int64_t samples, uint64_t seed) {
    const auto file = folder_.path() / "out.jsonl";
    write_ruler_file(file, generate_ruler(task, length, samples, seed, count_tokens));
    return read_bytes(file);
  }
};

int64_t true_length(const RulerRecord& record, int64_t tokens_to_generate) {
  return count_tokens(record.prompt()) + tokens_to_generate;
}

TEST_F(Generators, NiahHasTheOfficialStructure) {
  for (const auto& [name, parameters] : niah_variants()) {
    for (const int64_t length : {1024, 2048, 4096, 8192}) {
      std::set<std::vector<size_t>> places;
      for (const RulerRecord& record :
           generate_ruler("ruler/" + name, length, 20, 42, count_tokens)) {
        SCOPED_TRACE(fmt::format("{} {} sample {}", name, length, record.line));
        places.insert(check_niah(record, parameters));
        EXPECT_EQ(record.length, true_length(record, 128));
        EXPECT_EQ(record.length, record.length_w_model_temp);
        EXPECT_LE(*record.length, length);
        const std::string before = record.input.substr(0, record.input.find(record.outputs[0]));
        EXPECT_EQ(record.token_position_answer, count_tokens(before));
      }
      if (name == "niah_multivalue") {
        EXPECT_EQ(places.size(), 1u) << "a fixed shuffle";
      }
    }
  }
}

// The size is the search's or one step below, 500 words or 5 lines.
TEST_F(Generators, LengthsAreFullOrOneStepShort) {
  std::map<int64_t, int64_t> words_of_ink;
  const Essay essay(small_essay());
  for (int64_t n = 1; n < 3000; ++n) words_of_ink[ink(essay.first_words(n))] = n;

  for (const auto& [name, parameters] : niah_variants()) {
    SCOPED_TRACE(name);
    const bool is_essay = parameters.haystack == HaystackType::kEssay;
    std::set<int64_t> sizes;
    int64_t longest = 0;
    for (const RulerRecord& record : generate_ruler("ruler/" + name, 2048, 100, 7, count_tokens)) {
      longest = std::max(longest, *record.length);
      const size_t first = record.input.find('\n');
      std::string context = record.input.substr(first + 1, record.input.rfind('\n') - first - 1);
      if (is_essay) {
        for (const FoundNeedle& needle : find_needles(context, parameters.values)) {
          context = replace_all(context, needle.text, "");
        }
        ASSERT_TRUE(words_of_ink.contains(ink(context)));
        sizes.insert(words_of_ink[ink(context)]);
      } else {
        sizes.insert(std::count(context.begin(), context.end(), '\n'));
      }
    }
    EXPECT_GT(longest, 2048 - 64);
    ASSERT_LE(sizes.size(), 2u);
    if (sizes.size() == 2) {
      EXPECT_EQ(*sizes.rbegin() - *sizes.begin(), is_essay ? 500 : 5);
    }
  }
}

TEST_F(Generators, VariableTrackingHasTheOfficialStructure) {
  for (const int64_t length : {1024, 2048, 4096, 8192}) {
    std::set<int64_t> example_lines, lines;
    std::set<std::string> examples;
    for (const RulerRecord& record : generate_ruler("ruler/vt", length, 20, 42, count_tokens)) {
      SCOPED_TRACE(fmt::format("length {} sample {}", length, record.line));
      const VariableTrackingCheck check = check_variable_tracking(record);
      example_lines.insert(check.example_lines);
      lines.insert(check.lines);
      examples.insert(record.input.substr(0, record.input.find("\n\nMemorize")));
      EXPECT_EQ(record.index, record.line);
      EXPECT_EQ(record.length, true_length(record, 30));
      EXPECT_LE(*record.length, length);
      EXPECT_GT(*record.length, length * 8 / 10);
      EXPECT_FALSE(record.token_position_answer.has_value());
      EXPECT_EQ(record.answer_prefix->back(), ' ');
    }
    EXPECT_EQ(example_lines.size(), 1u) << "the example is made once";
    EXPECT_EQ(examples.size(), 20u) << "and gets new names for every sample";
    EXPECT_LE(lines.size(), 2u);
  }
}

TEST_F(Generators, ValuesAreOfTheirType) {
  for (const RulerRecord& record :
       generate_ruler("ruler/niah_multikey_3", 1024, 20, 42, count_tokens)) {
    const std::string& uuid = record.outputs[0];
    ASSERT_EQ(uuid.size(), 36u);
    EXPECT_EQ(uuid.find_first_not_of("0123456789abcdef-"), std::string::npos);
    EXPECT_EQ(uuid[14], '4');
    EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos);
    for (const size_t dash : {8, 13, 18, 23}) EXPECT_EQ(uuid[dash], '-');
  }
  for (const RulerRecord& record :
       generate_ruler("ruler/niah_multivalue", 1024, 20, 42, count_tokens)) {
    for (const std::string& number : record.outputs) {
      EXPECT_EQ(number.size(), 7u);
      EXPECT_EQ(number.find_first_not_of("0123456789"), std::string::npos);
      EXPECT_NE(number[0], '0');
    }
  }
}

TEST_F(Generators, TheSeedDecidesEveryByte) {
  for (const std::string task :
       {"ruler/niah_single_1", "ruler/niah_multikey_2", "ruler/niah_multiquery", "ruler/vt"}) {
    SCOPED_TRACE(task);
    const std::string bytes_42 = bytes(task, 1024, 4, 42);
    EXPECT_TRUE(bytes_42 == bytes(task, 1024, 4, 42));
    EXPECT_FALSE(bytes_42 == bytes(task, 1024, 4, 43));
    EXPECT_TRUE(bytes_42.starts_with(bytes(task, 1024, 2, 42)))
        << "more samples do not change the first";
  }
}

// Any sample alone, whichever were asked for before, and by several threads at once.
TEST_F(Generators, SamplesDoNotDependOnEachOther) {
  for (const std::string task : {"niah_single_2", "niah_multikey_2", "vt", "fwe"}) {
    SCOPED_TRACE(task);
    const std::string name = "ruler/" + task;
    const auto expected = generate_ruler(name, 1024, 8, 42, count_tokens);
    const TaskRequest request = {.name = name, .length = 1024, .samples = 8, .seed = 42};
    const auto source = find_task(name).open(request, count_tokens);
    std::vector<Sample> found(8);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        for (size_t i = 8; i-- > 0;) {
          if (i % 2 == t) found[i] = source->sample(static_cast<int64_t>(i));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].context + found[i].question + found[i].answer_prefix,
                expected[i].prompt());
    }
    std::set<std::string> inputs;
    for (const RulerRecord& record : expected) inputs.insert(record.input);
    EXPECT_EQ(inputs.size(), 8u);
  }
}

TEST_F(Generators, SamplesAreTheRecordsSplit) {
  for (const std::string name : {"ruler/niah_single_2", "ruler/niah_multivalue", "ruler/vt"}) {
    const auto records = generate_ruler(name, 1024, 3, 5, count_tokens);
    const TaskRequest request = {.name = name, .file = {}, .length = 1024, .samples = 3, .seed = 5};
    const auto samples = all_samples(request, count_tokens);
    ASSERT_EQ(samples.size(), 3u);
    for (size_t i = 0; i < samples.size(); ++i) {
      EXPECT_EQ(samples[i].id, static_cast<int64_t>(i));
      EXPECT_EQ(samples[i].context + samples[i].question + samples[i].answer_prefix,
                records[i].prompt());
      EXPECT_EQ(samples[i].references, records[i].outputs);
      EXPECT_EQ(samples[i].context.back(), '\n');
      EXPECT_EQ(samples[i].question.back(), ' ');
      EXPECT_NE(samples[i].answer_prefix.front(), ' ');
    }
  }
}

TEST_F(Generators, TooShortLengthsAreRefused) {
  for (const std::string task : {"ruler/niah_single_2", "ruler/niah_multikey_3", "ruler/vt"}) {
    const std::string message =
        input_error([&] { generate_ruler(task, 400, 1, 42, count_tokens); });
    EXPECT_EQ(message.substr(0, task.size() + 26), task + ": length 400 is too small:") << message;
  }
}

TEST_F(Generators, WrongRequestsSayWhatIsWrong) {
  const auto error = [&](const std::string& task, int64_t length, int64_t samples) {
    return input_error([&] { generate_ruler(task, length, samples, 42, count_tokens); });
  };
  EXPECT_EQ(error("ruler/vt", 0, 1), "ruler/vt: length: expected at least 1, got 0");
  EXPECT_EQ(error("ruler/vt", 1024, 0), "ruler/vt: samples: expected at least 1, got 0");
  EXPECT_NE(error("ruler/vtt", 4096, 1).find("did you mean ruler/vt"), std::string::npos);
  std::filesystem::remove_all(folder_.path() / "data" / "essays");
  EXPECT_NE(error("ruler/niah_single_2", 4096, 1).find("data/essays/*.txt: missing"),
            std::string::npos);
}

TEST(TaskFiles, MistakesAreNamedWithTheirLine) {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& yaml) {
    const auto file = folder.write("x.yaml", yaml);
    const std::string message = input_error([&] { load_ruler_task("ruler/x", file); });
    EXPECT_EQ(message.substr(0, file.string().size()), file.string());
    return message.substr(std::min(message.size(), file.string().size()));
  };
  const std::string good = "family: niah\ntokens_to_generate: 128\nmetric: string_match_all\n";
  EXPECT_NE(load_ruler_task("ruler/x", folder.write("good.yaml", good)), nullptr);
  EXPECT_NE(error(good + "metrik: x\n")
                .find(":4: unknown key \"metrik\" in the task; did you mean metric?"),
            std::string::npos);
  EXPECT_NE(error(good + "family: niah\n").find(":4: duplicate key \"family\""), std::string::npos);
  EXPECT_NE(error("family: naih\n").find(":1: unknown family \"naih\"; did you mean niah?"),
            std::string::npos);
  EXPECT_EQ(error("family: niah\nmetric: string_match_all\ntokens_to_generate: many\n"),
            ":3: tokens_to_generate: expected an integer, got \"many\"");
  EXPECT_EQ(error("family: niah\nmetric: string_match_all\ntokens_to_generate: 0\n"),
            ":3: tokens_to_generate: expected at least 1, got 0");
  EXPECT_EQ(error("family: niah\n"), ":1: metric is missing in the task");
  EXPECT_EQ(error("- a\n"), ":1: the task: expected a map, got a list");
  EXPECT_EQ(error(good + "parameters: 3\n"), ":4: parameters: expected a map, got \"3\"");
  EXPECT_EQ(error("family: [\n").substr(0, 3), ":2:");
  EXPECT_NE(error(good + "parameters:\n  num_needle_k: 0\n").find(":5: niah: num_needle_k: "),
            std::string::npos);
  EXPECT_NE(error(good + "parameters: {num_needles: 1}\n").find(":4: niah: unknown parameter"),
            std::string::npos);
}

// With the texts that set-up installs.
TEST(InstalledData, EssayTasks) {
  const auto data = deps_dir() / "data";
  if (!std::filesystem::exists(data / "essays") || !std::filesystem::exists(data / "words")) {
    GTEST_SKIP() << data << " is not installed";
  }
  const Essay essay = load_essay(data / "essays");
  EXPECT_EQ(essay.words(), 111877);
  // Punkt makes 3142 sentences of these words; the rule here finds all their ends and 22 more.
  EXPECT_EQ(split_sentences(essay.first_words(60000)).size(), 3164u);
  const WordLists words = load_words(data / "words");
  EXPECT_EQ(words.adjectives.size(), 910u);
  EXPECT_EQ(words.nouns.size(), 6782u);
  for (const auto& [name, parameters] : niah_variants()) {
    for (const RulerRecord& record : generate_ruler("ruler/" + name, 8192, 3, 42, count_tokens)) {
      SCOPED_TRACE(fmt::format("{} sample {}", name, record.line));
      check_niah(record, parameters);
    }
  }
}

}  // namespace
}  // namespace kvbench::ruler
