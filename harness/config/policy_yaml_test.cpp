#include "harness/config/policy_yaml.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "harness/base/test_util.h"
#include "harness/base/yaml_write.h"

namespace kvbench {
namespace {

// As messages list them; a new preset changes no test.
std::string presets() { return fmt::format("{}", fmt::join(preset_names(), ", ")); }

std::string line_of(const std::string& text) { return policy_yaml(parse_policy_text(text)); }

std::string error_in(const std::string& text) {
  return error_of([&] { parse_policy(parse_yaml(text, "a.yaml"), load_presets()); });
}

TEST(Policy, Presets) {
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"full", "{name: full, full: true}"},
      {"random", "{name: random, scorer: {name: random}, allocator: {name: uniform}}"},
      {"streaming_llm",
       "{name: streaming_llm, scorer: {name: position, sink: 4}, allocator: {name: uniform}}"},
      {"snapkv",
       "{name: snapkv, scorer: {name: snapkv, kernel: 7, pooling: max, window: 32}, "
       "allocator: {name: uniform}}"},
      {"snapkv_kvpress",
       "{name: snapkv_kvpress, scorer: {name: snapkv, kernel: 5, pooling: avg, window: 64}, "
       "allocator: {name: uniform}}"},
      {"keydiff", "{name: keydiff, scorer: {name: keydiff}, allocator: {name: uniform}}"},
  };
  for (const auto& [name, line] : expected) {
    EXPECT_EQ(line_of(name), line);
    EXPECT_EQ(line_of(line), line) << "does not read back";
  }
  for (const Preset& preset : load_presets()) {
    const std::string line = line_of(preset.policy.name);
    EXPECT_EQ(line_of(line), line) << "does not read back";
    EXPECT_FALSE(preset.doc.empty() || preset.source.empty()) << preset.policy.name;
  }
}

TEST(Policy, PlacesOfPresetsPointIntoTheirFile) {
  const PolicySpec policy = parse_policy_text("snapkv");
  EXPECT_TRUE(policy.origin.ends_with("configs/presets.yaml"));
  EXPECT_EQ(policy.scorer.origin, policy.origin);
  EXPECT_GT(policy.scorer.line, policy.line);
  EXPECT_EQ(policy.scorer.params.at(0).line, policy.scorer.line);
}

TEST(Policy, FullForm) {
  const PolicySpec policy = parse_policy(parse_yaml("name: mine\n"
                                                    "scorer:\n"
                                                    "  name: snapkv\n"
                                                    "  window: 64\n"
                                                    "allocator: {name: lukv, profile: 'p q.h5'}\n"
                                                    "protect: {sink: 4, recent: 32}\n",
                                                    "a.yaml"),
                                         load_presets());
  EXPECT_EQ(policy.name, "mine");
  EXPECT_FALSE(policy.full);
  EXPECT_EQ(policy.origin, "a.yaml");
  EXPECT_EQ(policy.scorer.line, 3);
  ASSERT_EQ(policy.scorer.params.size(), 1u);
  EXPECT_EQ(policy.scorer.params[0].key, "window");
  EXPECT_EQ(policy.scorer.params[0].text, "64");
  EXPECT_EQ(policy.scorer.params[0].line, 4);
  EXPECT_EQ(policy.allocator.params.at(0).text, "p q.h5");
  ASSERT_EQ(policy.protect.size(), 2u);
  EXPECT_EQ(policy.protect[1].key, "recent");
  const std::string line = policy_yaml(policy);
  EXPECT_EQ(line,
            "{name: mine, scorer: {name: snapkv, window: 64}, allocator: {name: lukv, profile: "
            "\"p q.h5\"}, protect: {recent: 32, sink: 4}}");
  EXPECT_EQ(line_of(line), line);
}

TEST(Policy, Phases) {
  for (const char* line :
       {"{name: a, scorer: {name: keydiff}, allocator: {name: uniform}, prefill: {chunk: 128}}",
        "{name: b, scorer: {name: gkv}, allocator: {name: ada}, decode: {interval: 64, when: "
        "interval, scorer: {name: h2o, recent: 2}}}",
        "{name: c, scorer: {name: tova}, allocator: {name: uniform}, decode: {}}"}) {
    EXPECT_EQ(line_of(line), line);
  }
  EXPECT_EQ(line_of("{preset: keydiff, prefill: {chunk: 64}}"),
            "{name: keydiff, scorer: {name: keydiff}, allocator: {name: uniform}, prefill: {chunk: "
            "64}}");
  EXPECT_NE(error_in("{full: true, decode: {when: overflow}}").find("keeps everything"),
            std::string::npos);
  EXPECT_NE(error_in("{preset: full, prefill: {chunk: 8}}").find("keeps everything"),
            std::string::npos);
  EXPECT_NE(error_in("{scorer: tova, allocator: uniform, decode: overflow}").find("expected a map"),
            std::string::npos);
}

TEST(Policy, DefaultLabels) {
  const auto label = [](const std::string& text) { return parse_policy_text(text).name; };
  EXPECT_EQ(label("{scorer: {name: snapkv, window: 64}, allocator: uniform}"), "snapkv+uniform");
  EXPECT_EQ(label("{full: true}"), "full");
  EXPECT_EQ(label("{preset: snapkv}"), "snapkv");
  EXPECT_EQ(label("{preset: snapkv, name: other}"), "other");
}

TEST(Policy, Errors) {
  EXPECT_EQ(error_in("\nsnapkw\n"), fmt::format("a.yaml:2: unknown policy \"snapkw\"; did you mean "
                                                "snapkv? (known: {})",
                                                presets()));
  EXPECT_EQ(
      error_in("name: x\npreset: ful\n"),
      fmt::format("a.yaml:2: unknown policy \"ful\"; did you mean full? (known: {})", presets()));
  EXPECT_EQ(error_in("[full]"), "a.yaml:1: policy: expected a preset's name or a map, got a list");
  EXPECT_EQ(
      error_in("name: x\nscore: a\n"),
      "a.yaml:2: unknown key \"score\" in the policy; did you mean scorer? (known: allocator, "
      "decode, full, name, prefill, preset, protect, scorer, weighting)");
  EXPECT_EQ(error_in("name: x\nscorer: a\n"), "a.yaml:1: allocator is missing in the policy");
  EXPECT_EQ(error_in("scorer: {window: 3}\nallocator: b\n"),
            "a.yaml:1: name is missing in the scorer");
  EXPECT_EQ(error_in("scorer: [a]\nallocator: b\n"),
            "a.yaml:1: scorer: expected a name or a map, got a list");
  EXPECT_EQ(error_in("scorer: a\nallocator: {name: b, x: [1]}\n"),
            "a.yaml:2: x: expected one value, got a list");
  EXPECT_EQ(error_in("scorer: a\nallocator: b\nprotect: 4\n"),
            "a.yaml:3: protect: expected a map, got \"4\"");
  EXPECT_EQ(error_in("scorer: a\nallocator: b\nprotect: {sink: }\n"),
            "a.yaml:3: sink: expected one value, got nothing");
  EXPECT_EQ(error_in("full: true\nscorer: a\n"),
            "a.yaml:2: scorer: stands beside full, which keeps everything");
  EXPECT_EQ(error_in("preset: snapkv\nallocator: a\n"),
            "a.yaml:2: allocator: stands beside preset, which decides it");
  EXPECT_EQ(error_in("name: a/b\nfull: true\n"),
            "a.yaml:1: name: expected at most 64 bytes without a slash, got \"a/b\"");
  EXPECT_EQ(error_of([] { parse_policy_text("{scorer: a"); }),
            "--policy: end of map flow not found");
  EXPECT_EQ(error_of([] { parse_policy_text(""); }),
            "--policy: policy: expected a preset's name or a map, got nothing");
}

TEST(Policy, BrokenPresetFile) {
  InTempDir dir;
  InTempDir::write("p.yaml", "x:\n  scorer: a\n  allocator: b\n  source: s\n");
  EXPECT_EQ(error_of([] { load_presets("p.yaml"); }), "p.yaml:2: doc is missing in the preset x");
}

TEST(YamlText, QuotesWhatWouldReadDifferently) {
  EXPECT_EQ(yaml_text("snapkv+ada"), "snapkv+ada");
  EXPECT_EQ(yaml_text("-0.5"), "-0.5");
  EXPECT_EQ(yaml_text("-"), "\"-\"");
  EXPECT_EQ(yaml_text("---"), "\"---\"");
  EXPECT_EQ(yaml_text("~"), "\"~\"");
  EXPECT_EQ(yaml_text("null"), "\"null\"");
  EXPECT_EQ(yaml_text(""), "\"\"");
  EXPECT_EQ(yaml_text("a \"b\", c: \\d"), "\"a \\\"b\\\", c: \\\\d\"");
  EXPECT_EQ(yaml_text("é"), "\"é\"");
  for (const char* text : {"a \"b\", c: \\d", "#x", "é", "- a", "*x", "null"}) {
    const YamlNode root = parse_yaml(fmt::format("[{}]", yaml_text(text)), "a.yaml");
    EXPECT_EQ(root.items.at(0).text, text);
  }
}

}  // namespace
}  // namespace kvbench
