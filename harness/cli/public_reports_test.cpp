// What public bug reports tell of other tools, tried on this program as a user would meet it.
#include <nlohmann/json.hpp>

#include "harness/cli/test_process.h"
#include "harness/golden/golden.h"
#include "harness/results/test_run.h"
#include "harness/sweep/test_model.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using namespace test_process;
using Words = std::vector<std::string>;

std::string key_line(int room, int key, const std::string& answer) {
  std::string context = "Here is what the house keeper wrote down. ";
  for (int i = 1; i < 8; ++i) {
    context += fmt::format("The key of room {} is number {}. ", i, i == room ? key : 1000 + 37 * i);
  }
  return test_model::qa_line(
      context, fmt::format("What is the number of the key of room {}?", room), answer);
}

class PublicReports : public testing::Test {
 protected:
  void write_sweep(const std::string& text) { write_bytes(folder_ / "sweep.yaml", text); }

  Outcome run(const Words& more = {}) {
    Words words = {"run", "sweep.yaml"};
    words.insert(words.end(), more.begin(), more.end());
    return kvbench(folder_ / "", words);
  }

  test_run::Folder folder_;
};

// On the real model: questions that it can answer.
class RealModelReports : public PublicReports {
 protected:
  void SetUp() override {
    if (!fs::exists(golden::model_dir() / "model.safetensors")) {
      GTEST_SKIP() << golden::model_dir() << " is absent";
    }
  }
  std::string model() const {
    return fmt::format("{{path: \"{}\", dtype: bfloat16}}", golden::model_dir().string());
  }
};

// onnxruntime-extensions #890: the chat's tokens stand in tokenizer_config.json alone.
TEST_F(PublicReports, TokensOfTheConfigurationAnswerAsInTransformers) {
  const fs::path model = fs::path(KVBENCH_TEST_ROOT) / "harness/cli/testdata/tokens_in_config_only";
  write_sweep(fmt::format(
      "name: t\nmodel: {{path: \"{}\", dtype: float32}}\ndevice: cpu\nchat_template: true\n"
      "tasks: [{{task: ruler/niah_single_1, file: \"{}/task.jsonl\", max_new_tokens: 6}}]\n"
      "policies: [full]\nratios: [0.5]\noutput: o.h5\n",
      model.string(), model.string()));
  expect_done(run());
  const Results results = read_results(folder_ / "o.h5");
  ASSERT_EQ(results.rows.size(), 1u);
  EXPECT_EQ(results.rows[0].context_tokens, 105);
  EXPECT_EQ(results.rows[0].question_tokens, 160);
  EXPECT_EQ(results.rows[0].prediction, "wropwr");
}

// Base models: no template is none used, and the file and `explain` say so.
TEST_F(PublicReports, ABaseModelWithoutTemplate) {
  test_model::write(folder_ / "model");
  write_bytes(folder_ / "a.jsonl", test_model::qa_line("The sky is blue.", "Its colour?", "blue"));
  write_sweep(
      "name: t\nmodel: {path: model}\ndevice: cpu\nchat_template: auto\n"
      "tasks: [{task: ruler/qa_1, file: a.jsonl, max_new_tokens: 4}]\n"
      "policies: [full]\nratios: [0.5]\noutput: o.h5\n");
  expect_done(run());
  EXPECT_NE(read_results(folder_ / "o.h5").info.config.find("# chat_template auto: none\n"),
            std::string::npos);
  const Outcome explained =
      kvbench(folder_ / "", {"explain", "sweep.yaml", "--task", "ruler/qa_1", "--sample", "0"});
  expect_done(explained);
  EXPECT_NE(explained.out.find("chat template        none\n"), std::string::npos) << explained.out;
  const Outcome checked = kvbench(folder_ / "", {"model", "check", "model"});
  expect_done(checked);
  EXPECT_NE(checked.out.find("template     none\n"), std::string::npos) << checked.out;
  expect_refused(run({"--set", "chat_template=true", "--fresh"}),
                 {"model: no chat template", "chat_template: auto"});
}

// F01 (lm-eval #1112): the last of two files of one task was all that the summary held.
TEST_F(RealModelReports, TwoFilesOfOneTaskStandApart) {
  const std::string bicycle = "Maria has a red bicycle. She rides it to school every day.";
  const std::string question = "What colour is the bicycle of Maria?";
  const std::string first = test_model::qa_line(bicycle, question, "red") +
                            test_model::qa_line("The baker in the old town sells bread and cakes.",
                                                "What does the baker sell?", "bread");
  write_bytes(folder_ / "a.jsonl", first);
  write_bytes(folder_ / "b.jsonl",
              first + test_model::qa_line(bicycle, question, "a word that nobody says"));
  write_sweep(fmt::format(
      "name: f01\nmodel: {}\ndevice: cpu\ntasks:\n  - {{task: ruler/qa_1, file: a.jsonl}}\n"
      "  - {{task: ruler/qa_1, file: b.jsonl}}\npolicies: [full]\nratios: [0.5]\noutput: o.h5\n",
      model()));
  const Outcome done =
      run({"--set", "tasks.0.max_new_tokens=16", "--set", "tasks.1.max_new_tokens=16"});
  expect_done(done);
  const Outcome csv = kvbench(folder_ / "", {"report", "o.h5", "--format", "csv"});
  expect_done(csv);
  const Results results = read_results(folder_ / "o.h5");
  ASSERT_EQ(results.cells.size(), 2u);
  EXPECT_EQ(results.cells[0].mean, 100);
  EXPECT_NEAR(results.cells[1].mean, 200.0 / 3, 1e-9);
  EXPECT_NE(done.out.find("a.jsonl"), std::string::npos) << done.out;
  EXPECT_NE(done.out.find(" 66.7"), std::string::npos) << done.out;
  EXPECT_NE(done.out.find(" 100.0"), std::string::npos) << done.out;
}

// F08 (SnapKV #23): a decode budget that is not above the window.
TEST_F(RealModelReports, DecodeBudgetsBelowTheWindowKeepTheLatest) {
  write_bytes(folder_ / "a.jsonl", key_line(2, 4821, "4821"));
  write_sweep(
      fmt::format("name: f08\nmodel: {}\ndevice: cpu\ntasks: [{{task: ruler/qa_1, file: a.jsonl,"
                  " max_new_tokens: 8}}]\npolicies:\n"
                  "  - {{preset: snapkv, name: overflow, decode: {{when: overflow}}}}\n"
                  "  - {{preset: lukv, name: lukv_overflow, decode: {{when: overflow}}}}\n"
                  "  - {{preset: snapkv, name: eight, decode: {{budget: 8}}}}\n"
                  "ratios: [0.5, 0.9]\noutput: o.h5\n",
                  model()));
  expect_done(run());
  for (const SampleRow& row : read_results(folder_ / "o.h5").rows) {
    EXPECT_EQ(row.error, "") << row.policy << " at " << row.ratio;
  }
}

// F06 (kvpress #264): T (1 - ratio) below one token.
TEST_F(RealModelReports, EveryHeadKeepsATokenAtAnyRatio) {
  write_bytes(folder_ / "a.jsonl",
              test_model::qa_line("The cat sat on the mat. ", "Who sat?", "cat"));
  write_sweep(fmt::format(
      "name: f06\nmodel: {}\ndevice: cpu\nchat_template: false\n"
      "tasks: [{{task: ruler/qa_1, file: a.jsonl, max_new_tokens: 2}}]\n"
      "policies: [{{scorer: knorm, allocator: {{name: lukv_curves, profile: p.h5, group: keydiff,"
      " force: true}}}}]\nratios: [0.99]\noutput: o.h5\n",
      model()));
  fs::copy(fs::path(KVBENCH_TEST_ROOT) / "configs/profiles/smollm2.h5", folder_ / "p.h5");
  expect_done(run());
  EXPECT_GE(read_results(folder_ / "o.h5").rows.at(0).kept_tokens, 1);
}

class TinyModelReports : public PublicReports {
 protected:
  void SetUp() override {
    test_model::write(folder_ / "model");
    write_bytes(folder_ / "a.jsonl", key_line(2, 4821, "4821") + key_line(5, 7336, "7336"));
  }
  std::string sweep(const std::string& policies, const std::string& more = "") const {
    return fmt::format(
        "name: tiny\nmodel: {{path: model}}\ndevice: cpu\nchat_template: false\n"
        "tasks: [{{task: ruler/qa_1, file: a.jsonl, max_new_tokens: 4}}]\npolicies: [{}]\n"
        "ratios: [0.5]\noutput: o.h5\n{}",
        policies, more);
  }
};

// F04 and F13: a plug-in that fails in its seventh layer.
TEST_F(TinyModelReports, APlugInThatThrowsFailsAloneAndTheRunSaysSo) {
  write_bytes(folder_ / "faulty.cpp",
              "#include <ATen/ATen.h>\n#include \"policies/scorer.h\"\nnamespace {\n"
              "class Faulty : public kvbench::Scorer {\n public:\n"
              "  explicit Faulty(kvbench::Params&) {}\n"
              "  at::Tensor score(const kvbench::LayerView& layer) const override {\n"
              "    if (layer.index == 6) throw std::runtime_error(\"the seventh layer\");\n"
              "    return at::zeros({layer.n_kv_heads(), layer.n_tokens()});\n  }\n};\n"
              "KVB_REGISTER_SCORER(\"faulty\", Faulty, \"fails\");\n}\n");
  const std::string build =
      fmt::format("KVBENCH_BUILD='{}' '{}' '{}'", fs::path(KVBENCH_BINARY).parent_path().string(),
                  (fs::path(KVBENCH_TEST_ROOT) / "policies/plugin_template/build.sh").string(),
                  (folder_ / "faulty.cpp").string());
  ASSERT_EQ(std::system(build.c_str()), 0);
  const std::string faulty = "{name: mine, scorer: faulty, allocator: uniform}";
  write_sweep(sweep("full, " + faulty, "plugins: [faulty.so]\n"));
  for (int time = 0; time < 2; ++time) {  // and again at every rerun
    const Outcome outcome = run();
    EXPECT_EQ(outcome.status, 1) << outcome.err;
    EXPECT_NE(outcome.err.find("2 of 4 rows"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.out.find("layer 6: the seventh layer"), std::string::npos) << outcome.out;
    const Results results = read_results(folder_ / "o.h5");
    ASSERT_EQ(results.rows.size(), 4u);
    EXPECT_TRUE(results.state.complete);
    for (const SampleRow& row : results.rows) {
      EXPECT_EQ(row.error, row.policy == "mine" ? "layer 6: the seventh layer" : "");
    }
  }
  write_sweep(sweep(faulty, "plugins: [faulty.so]\n"));
  EXPECT_EQ(run({"--output", "all_failed.h5"}).status, 1);
}

// F10: a latency length beyond the model's positions was found after the whole sweep.
TEST_F(TinyModelReports, LatencyLengthsAreCheckedFirst) {
  write_sweep(sweep("full", "latency: {lengths: [9000], repeats: 1, warmup: 0}\n"));
  for (const Words& more : {Words{}, Words{"--dry-run"}}) {
    expect_refused(run(more), {"latency: length 9000", "4096 positions"});
  }
  EXPECT_FALSE(fs::exists(folder_ / "o.h5"));
  expect_done(run({"--set", "latency.lengths=[64]"}));
}

// F15: a policy with its own budget is one cell, whatever the ratios.
TEST_F(TinyModelReports, ACapacityIsOneCell) {
  write_sweep(sweep("{name: own, scorer: knorm, allocator: {name: uniform, capacity: 64}}"));
  const Outcome planned = run({"--dry-run"});
  expect_done(planned);
  EXPECT_NE(planned.out.find("own at its own budget"), std::string::npos) << planned.out;
  EXPECT_EQ(planned.out.find("length 0"), std::string::npos) << planned.out;
  expect_done(run({"--set", "ratios=[0.5, 0.8]"}));
  EXPECT_EQ(read_results(folder_ / "o.h5").rows.size(), 2u);
  expect_done(kvbench(
      folder_ / "", {"check-policy", "{scorer: knorm, allocator: {name: uniform, capacity: 64}}"}));
}

// So is one with a budget that is met while decoding.
TEST_F(TinyModelReports, ADecodeTimeBudgetIsOneCell) {
  write_sweep(sweep("{preset: random_pp, decode: {when: held, interval: 16, budget: 80}}"));
  expect_done(run({"--set", "ratios=[0.5, 0.8]"}));
  EXPECT_EQ(read_results(folder_ / "o.h5").rows.size(), 2u);
  expect_done(kvbench(folder_ / "", {"check-policy", "random_pp"}));
  write_sweep(sweep("{preset: gkv, decode: {when: grid, interval: 128}}"));
  expect_refused(run(), {"sweep.yaml:6: decode: when: ", "a budget of 1"});
  write_sweep(sweep("{preset: gkv, decode: {when: gird, budget: 80}}"));
  expect_refused(run(), {"sweep.yaml:6: decode: ", "gird", "did you mean grid"});
  write_sweep(sweep("{scorer: gkv, allocator: ada, decode: {when: grid, budget: 80}}"));
  expect_refused(run(), {"sweep.yaml:6: decode: when: ", "uniform"});
  write_sweep(sweep("{scorer: gkv, allocator: uniform, protect: {prompt: true}}"));
  expect_refused(run(), {"sweep.yaml:6: protect: prompt: ", "decode phase"});
}

// F17: ~ is the home folder, and a dry run writes nothing.
TEST_F(TinyModelReports, HomeIsHomeAndADryRunWritesNothing) {
  setenv("HOME", (folder_ / "home").c_str(), 1);
  write_sweep(sweep("full"));
  const auto names = names_below(folder_ / "");
  const Outcome dry = run({"--set", "output=~/q/y.h5", "--dry-run"});
  expect_done(dry);
  EXPECT_EQ(names_below(folder_ / ""), names);
  expect_done(run({"--set", "output=~/q/y.h5"}));
  EXPECT_TRUE(fs::exists(folder_ / "home/q/y.h5"));
}

// F18: a typo beside a preset stands in the user's file.
TEST_F(TinyModelReports, ATypoBesideAPresetIsInTheUsersFile) {
  write_sweep(sweep("{preset: snapkv, name: b, decode: {wen: overflow}}"));
  expect_refused(run(), {"sweep.yaml:6: decode: ", "wen", "did you mean when"});
}

// "Why did it score 0?" has an answer.
TEST_F(TinyModelReports, ASampleIsExplained) {
  write_sweep(sweep("full, knorm"));
  expect_done(run());
  const Words words = {"explain", "sweep.yaml", "--task", "ruler/qa_1", "--sample", "1"};
  const Outcome plain = kvbench(folder_ / "", words);
  expect_done(plain);
  for (const char* part :
       {"a.jsonl", "The key of room 5 is number 7336", "answer prefix", "string_match_part",
        "[\"7336\"]", "full at 0: score", "knorm at 0.5: score", "\"7336\" alone would score"}) {
    EXPECT_NE(plain.out.find(part), std::string::npos) << part << "\n" << plain.out;
  }
  Words one = words;
  one.insert(one.end(), {"--policy", "knorm", "--ratio", "0.5"});
  const Outcome cut = kvbench(folder_ / "", one);
  expect_done(cut);
  EXPECT_NE(cut.out.find("knorm at 0.5 keeps"), std::string::npos) << cut.out;
  EXPECT_EQ(cut.out.find("full at 0: score"), std::string::npos) << cut.out;
  Words wrong = words;
  wrong.back() = "7";
  expect_refused(kvbench(folder_ / "", wrong), {"--sample 7", "ruler/qa_1 has no such sample"});
}

}  // namespace
}  // namespace kvbench
