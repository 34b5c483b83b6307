// What the verbs do when all is well, on a tiny model. Sweeps are in resume_test.cpp.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "harness/base/hdf5.h"
#include "harness/cli/test_process.h"
#include "harness/results/test_run.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using namespace test_process;
using nlohmann::json;

constexpr int64_t kLayers = 2, kHeads = 4, kVocabulary = 96;  // of the tiny model

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(Help, OfEveryVerb) {
  for (const std::string verb : {"", "run", "report", "inspect", "generate-task", "grade", "list",
                                 "model", "model fetch", "model check"}) {
    SCOPED_TRACE(verb);
    std::istringstream in(verb + " --help");
    const Outcome outcome = kvbench(
        "/", {std::istream_iterator<std::string>(in), std::istream_iterator<std::string>()});
    expect_done(outcome);
    EXPECT_NE(outcome.out.find("Usage:"), std::string::npos);
    EXPECT_EQ(outcome.err, "");
  }
}

TEST(List, EveryKind) {
  const std::map<std::string, std::vector<std::string>> some = {
      {"policies", {"full", "random", "streaming_llm", "snapkv", "keydiff"}},
      {"scorers", {"keydiff", "position", "random", "snapkv"}},
      {"allocators", {"uniform"}},
      {"tasks", {"ruler/cwe", "ruler/niah_single_1", "ruler/vt"}},
      {"metrics", {"string_match_all", "string_match_part"}},
      {"weightings", {"critical", "recent_share"}},
      {"models", {"smollm2-135m-instruct"}},
  };
  for (const auto& [kind, names] : some) {
    SCOPED_TRACE(kind);
    const Outcome outcome = kvbench("/", {"list", kind});
    expect_done(outcome);
    std::set<std::string> first_words;
    for (const auto& line : lines_of(outcome.out)) {
      first_words.insert(line.substr(0, line.find(' ')));
    }
    for (const auto& name : names) EXPECT_TRUE(first_words.contains(name)) << name;
  }
  const Outcome verbose = kvbench("/", {"list", "scorers", "--verbose"});
  expect_done(verbose);
  EXPECT_NE(verbose.out.find("    window  "), std::string::npos);
}

TEST(GenerateTask, SameSeedSameBytes) {
  const test_run::Folder folder;
  fs::create_directory(folder / "model");  // a tokenizer is all it takes
  fs::copy(tiny_model() / "config.json", folder / "model");
  fs::copy(tiny_tokenizer(), folder / "model/tokenizer.json");
  const auto generate = [&](const std::string& seed, const std::string& output) {
    expect_done(kvbench(folder / "",
                        {"generate-task", "ruler", "niah_single_1", "--length", "1024", "--samples",
                         "2", "--seed", seed, "--model", "model", "--output", output}));
    return read_bytes(folder / output);
  };
  const std::string bytes = generate("7", "a/b/t.jsonl");  // missing folders are made
  EXPECT_EQ(generate("7", "again.jsonl"), bytes);
  EXPECT_NE(generate("8", "other.jsonl"), bytes);

  const auto lines = lines_of(bytes);
  ASSERT_EQ(lines.size(), 2u);
  for (size_t i = 0; i < lines.size(); ++i) {
    const json record = json::parse(lines[i]);
    EXPECT_LE(record.at("length"), 1024);
    ASSERT_EQ(record.at("outputs").size(), 1u);
    const auto input = record.at("input").get<std::string>();
    // RULER's index is no number of the sample but where the answer stands.
    EXPECT_EQ(input.find(record.at("outputs")[0].get<std::string>()), record.at("index"));
  }
}

TEST(Grade, RulerAsTheOfficialCode) {
  const auto file = fs::path(KVBENCH_TEST_ROOT) / "harness/golden/reference/ruler/scoring.json";
  const Outcome outcome = kvbench("/", {"grade", file});
  expect_done(outcome);
  const auto lines = lines_of(outcome.out);
  const json scoring = json::parse(read_bytes(file));
  const json& cases = scoring.at("cases");
  ASSERT_EQ(lines.size(), cases.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    std::istringstream line(lines[i]);
    double all = -1, part = -1;
    line >> all >> part;
    const json& official = cases[i].at("official");
    EXPECT_EQ(all, official.at("string_match_all").get<double>()) << cases[i].at("name");
    EXPECT_EQ(part, official.at("string_match_part").get<double>()) << cases[i].at("name");
  }
}

TEST(Grade, MetricCases) {
  const test_run::Folder folder;
  write_bytes(folder / "cases.json", R"([
      {"metric": "string_match_all", "prediction": "1 and 2", "ground_truths": ["1", "3"]},
      {"metric": "string_match_all", "prediction": "1 and 2", "ground_truths": ["1", "2", "3"]},
      {"metric": "string_match_part", "prediction": "1 and 2", "ground_truths": ["3", "2"]}])");
  const Outcome outcome = kvbench(folder / "", {"grade", "cases.json"});
  expect_done(outcome);
  EXPECT_EQ(outcome.out, "0.5\n0.66666666666666663\n1\n");
}

TEST(Grade, ParametersOfMetrics) {
  const test_run::Folder folder;
  write_bytes(folder / "cases.json", R"([
      {"metric": "code_sim_score", "prediction": "abx1y2z3w4", "ground_truths": ["1-2-3-4-abx"]},
      {"metric": "code_sim_score", "prediction": "abx1y2z3w4", "ground_truths": ["1-2-3-4-abx"],
       "params": {"backend": "levenshtein"}}])");
  const Outcome outcome = kvbench(folder / "", {"grade", "cases.json"});
  expect_done(outcome);
  EXPECT_EQ(outcome.out, "0.28999999999999998\n0.38\n");
}

// The Chinese sets need an outside dictionary; harness/golden has them all.
TEST(Grade, LongBenchSetsAsTheOfficialCode) {
  const auto file = fs::path(KVBENCH_TEST_ROOT) / "harness/golden/reference/longbench/scorer.json";
  json sets = json::array();
  for (const json& set : json::parse(read_bytes(file)).at("datasets")) {
    if (set.at("dataset") != "dureader" && set.at("dataset") != "vcsum" &&
        set.at("dataset") != "multifieldqa_zh") {
      sets.push_back(set);
    }
  }
  const test_run::Folder folder;
  write_bytes(folder / "sets.json", json({{"datasets", sets}}).dump());
  const Outcome outcome = kvbench(folder / "", {"grade", "sets.json"});
  expect_done(outcome);
  const auto lines = lines_of(outcome.out);
  ASSERT_EQ(lines.size(), sets.size() + 1);
  double sum = 0;
  for (size_t i = 0; i < sets.size(); ++i) {
    const json graded = json::parse(lines[i]);
    for (const char* key : {"dataset", "score", "score_kvpress", "score_e"}) {
      EXPECT_EQ(graded.at(key), sets[i].at(key)) << lines[i];
    }
    const std::string name = graded.at("dataset");
    if (name != "lsht" && name != "passage_retrieval_zh") sum += graded.at("score").get<double>();
  }
  const json averages = json::parse(lines.back());
  EXPECT_NEAR(averages.at("avg_16").get<double>(), sum / 16, 1e-12);
  EXPECT_TRUE(averages.at("avg_categories").is_number());
  EXPECT_TRUE(averages.at("avg_categories_zh").is_null());
}

// Runs `inspect` on the tiny model and 40 ids; returns the file.
class InspectTest : public testing::Test {
 protected:
  static constexpr int64_t kTokens = 40;

  h5::File inspect(const std::string& policy, const std::string& ratio,
                   const std::vector<std::string>& more = {}) {
    write_bytes(folder_ / "t.ids", id_lines(5, kTokens));
    write_bytes(folder_ / "q.ids", id_lines(5 + kTokens, 3));
    write_bytes(folder_ / "both.ids", id_lines(5, kTokens + 3));
    std::vector<std::string> words = {"inspect", "--model",  tiny_model(), "--policy",
                                      policy,    "--ratio",  ratio,        "--output",
                                      "out.h5",  "--device", "cpu"};
    if (std::find(more.begin(), more.end(), "--tokens") == more.end()) {
      words.insert(words.end(), {"--tokens", "t.ids"});
    }
    words.insert(words.end(), more.begin(), more.end());
    fs::remove(folder_ / "out.h5");
    expect_done(kvbench(folder_ / "", words));
    return {folder_ / "out.h5", h5::Mode::kRead};
  }

  test_run::Folder folder_;
};

// The dataset's values; its stored type and shape are as the contract says.
template <class T>
std::vector<T> checked(const h5::File& file, const std::string& name, std::vector<int64_t> dims) {
  const h5::Id dataset = file.own(H5Dopen2(file.id(), name.c_str(), H5P_DEFAULT), name);
  const h5::Id type = file.own(H5Dget_type(dataset.get()), name);
  const hid_t expected = std::is_same_v<T, float> ? H5T_IEEE_F32LE : H5T_STD_I32LE;
  EXPECT_GT(H5Tequal(type.get(), expected), 0) << name;
  EXPECT_EQ(h5::dims(file, name), dims) << name;
  return h5::read_array<T>(file, name).values;
}

TEST_F(InspectTest, WritesTheContract) {
  const h5::File file =
      inspect("{scorer: {name: snapkv, window: 8, kernel: 3}, allocator: uniform}", "0.5",
              {"--generate", "6", "--question", "q.ids"});
  EXPECT_EQ(h5::list(file),
            (std::vector<std::string>{"generated", "keep_counts", "kept_offsets", "kept_values",
                                      "logits_last", "scores", "tokens"}));
  const auto tokens = checked<int32_t>(file, "tokens", {kTokens});
  for (int64_t i = 0; i < kTokens; ++i) EXPECT_EQ(tokens[i], 5 + i);
  for (const float logit : checked<float>(file, "logits_last", {kVocabulary})) {
    EXPECT_TRUE(std::isfinite(logit));
  }
  const auto scores = checked<float>(file, "scores", {kLayers, kHeads, kTokens});
  const auto counts = checked<int32_t>(file, "keep_counts", {kLayers, kHeads});
  const auto offsets = checked<int32_t>(file, "kept_offsets", {kLayers * kHeads + 1});
  const auto kept = checked<int32_t>(file, "kept_values", {kLayers * kHeads * kTokens / 2});
  EXPECT_EQ(offsets[0], 0);
  for (int64_t head = 0; head < kLayers * kHeads; ++head) {
    SCOPED_TRACE(head);
    EXPECT_EQ(counts[head], kTokens / 2);
    ASSERT_EQ(offsets[head + 1] - offsets[head], counts[head]);
    const auto begin = kept.begin() + offsets[head], end = kept.begin() + offsets[head + 1];
    EXPECT_EQ(std::adjacent_find(begin, end, std::greater_equal<>()), end) << "not ascending";
    EXPECT_GE(*begin, 0);
    // What is kept scores no less than what is not.
    float lowest_kept = INFINITY, highest_cut = -INFINITY;
    for (int32_t t = 0; t < kTokens; ++t) {
      const float score = scores[static_cast<size_t>(head * kTokens + t)];
      if (std::binary_search(begin, end, t)) {
        lowest_kept = std::min(lowest_kept, score);
      } else {
        highest_cut = std::max(highest_cut, score);
      }
    }
    EXPECT_GE(lowest_kept, highest_cut);
  }
  for (const int32_t id : checked<int32_t>(file, "generated", {6})) {
    EXPECT_TRUE(id >= 0 && id < kVocabulary) << id;
  }
}

TEST_F(InspectTest, FullKeepsAllWithoutScores) {
  const h5::File file = inspect("full", "0");
  EXPECT_FALSE(h5::exists(file, "scores"));
  EXPECT_FALSE(h5::exists(file, "generated"));  // not asked for
  for (const int32_t count : checked<int32_t>(file, "keep_counts", {kLayers, kHeads})) {
    EXPECT_EQ(count, kTokens);
  }
  const auto kept = checked<int32_t>(file, "kept_values", {kLayers * kHeads * kTokens});
  for (size_t i = 0; i < kept.size(); ++i) ASSERT_EQ(kept[i], i % kTokens);
}

// A question over an uncut cache is the same text as one context.
TEST_F(InspectTest, RatioZeroIsTheUncutModel) {
  const auto whole = h5::read_array<int32_t>(
      inspect("full", "0", {"--tokens", "both.ids", "--generate", "8"}), "generated");
  for (const std::string policy : {"full", "keydiff"}) {
    SCOPED_TRACE(policy);
    const h5::File file = inspect(policy, "0", {"--question", "q.ids", "--generate", "8"});
    EXPECT_EQ(h5::read_array<int32_t>(file, "generated").values, whole.values);
  }
}

TEST_F(InspectTest, Dtype) {
  const h5::File file = inspect("keydiff", "0.5", {"--dtype", "bfloat16"});
  EXPECT_EQ(h5::read_attribute<std::string>(file, "/", "dtype"), "bfloat16");
  checked<float>(file, "logits_last", {kVocabulary});
}

}  // namespace
}  // namespace kvbench
