#include "harness/config/profile_config.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "harness/base/test_util.h"

namespace kvbench {
namespace {

// A profile of one line a setting; `replace` exchanges the line of its own key, or adds one.
std::string profile_with(const std::string& replace) {
  std::vector<std::string> lines = {
      "name: demo",
      "model: smollm2-135m-instruct",
      "contexts: {count: 4, length: 1000}",
      "scorers: [{scorer: keydiff}]",
  };
  const std::string key = replace.substr(0, replace.find(':') + 1);
  bool found = false;
  for (std::string& line : lines) {
    if (!line.starts_with(key)) continue;
    line = replace;
    found = true;
  }
  if (!found) lines.push_back(replace);
  return fmt::format("{}\n", fmt::join(lines, "\n"));
}

ProfileConfig parse(const std::string& replace) {
  return parse_profile_config(parse_yaml(profile_with(replace), "a.yaml"));
}

std::string error_with(const std::string& replace) {
  return error_of([&] { parse(replace); });
}

TEST(ProfileConfig, Defaults) {
  const ProfileConfig config = parse("name: demo");
  EXPECT_EQ(config.decode_steps, 48);
  EXPECT_EQ(config.contexts.ask, "recite");
  EXPECT_EQ(config.temperature, 0.7);
  EXPECT_EQ(config.oracle_norm, "layer");
  EXPECT_EQ(config.scope, "global");
  EXPECT_FALSE(config.losses);
  ASSERT_EQ(config.scorers.size(), 1U);
  EXPECT_EQ(config.scorers[0].name, "keydiff");
  EXPECT_EQ(config.scorers[0].sink, 4);
  EXPECT_EQ(config.scorers[0].window, 1);
  EXPECT_EQ(config.output, "results/demo.profile.h5");
}

TEST(ProfileConfig, EveryKey) {
  const ProfileConfig config = parse_profile_config(parse_yaml(R"(name: all
model: {name: smollm2-135m-instruct, dtype: float32}
device: cpu
chat_template: false
contexts: {count: 4, length: 100, ask: explain, questions: 2, seed: 7}
decode_steps: 5
sampling: greedy
oracle_norm: none
scope: layer
min_keep: 0
losses: true
threads: 1
output: here.h5
scorers:
  - {name: wide, scorer: {name: snapkv, window: 64}, sink: 0, window: 64}
  - {scorer: keydiff}
)",
                                                               "a.yaml"));
  EXPECT_EQ(config.temperature, 0);
  EXPECT_EQ(config.contexts.ask, "explain");
  EXPECT_EQ(config.contexts.questions, 2);
  EXPECT_EQ(config.scorers[0].window, 64);
  EXPECT_TRUE(config.losses);
  // What it is resolved to says the same.
  const std::string resolved = resolved_yaml(config);
  EXPECT_EQ(resolved_yaml(parse_profile_config(parse_yaml(resolved, "b.yaml"))), resolved);
}

TEST(ProfileConfig, RefusesWhatIsWrong) {
  EXPECT_NE(error_with("decode_stepps: 3").find("did you mean decode_steps?"), std::string::npos);
  EXPECT_NE(error_with("contexts: {count: 4}").find("length: is missing"), std::string::npos);
  EXPECT_NE(error_with("contexts: {length: 4}").find("count: is missing"), std::string::npos);
  EXPECT_NE(error_with("contexts: {length: 4, count: 0}").find("at least 1"), std::string::npos);
  EXPECT_NE(
      error_with("contexts: {length: 4, file: none.txt}")
          .find(fmt::format("no such file: {}/none.txt", std::filesystem::current_path().string())),
      std::string::npos);
  EXPECT_NE(error_with("contexts: {length: 4, count: 1, ask: recit}").find("did you mean recite?"),
            std::string::npos);
  EXPECT_NE(error_with("sampling: greeedy").find("did you mean greedy?"), std::string::npos);
  EXPECT_NE(error_with("sampling: {temperature: 0}").find("more than 0"), std::string::npos);
  EXPECT_NE(error_with("oracle_norm: laye").find("did you mean layer?"), std::string::npos);
  EXPECT_NE(error_with("min_keep: 1").find("[0, 1)"), std::string::npos);
  EXPECT_NE(error_with("scorers: [{scorer: keydiff}, {scorer: keydiff}]").find("appears twice"),
            std::string::npos);
  EXPECT_NE(error_with("scorers: [{scorer: keydiff, sinks: 3}]").find("did you mean sink?"),
            std::string::npos);
  EXPECT_NE(error_with("scorers: [{name: entries, scorer: keydiff}]").find("is taken"),
            std::string::npos);
}

TEST(ProfileConfig, LinesOfJsonBringTheirQuestions) {
  const InTempDir folder;
  InTempDir::write("c.jsonl", "{}\n");
  EXPECT_EQ(parse("contexts: {file: c.jsonl, length: 100}").contexts.count, 0);
  for (const char* key : {"questions: 2", "ask: recite"}) {
    const std::string line = fmt::format("contexts: {{file: c.jsonl, length: 100, {}}}", key);
    EXPECT_NE(error_with(line).find("its own"), std::string::npos) << error_with(line);
  }
}

}  // namespace
}  // namespace kvbench
