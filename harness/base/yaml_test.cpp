#include "harness/base/yaml.h"

#include <gtest/gtest.h>

#include "harness/base/test_util.h"
#include "harness/base/yaml_map.h"

namespace kvbench {
namespace {

std::string error_in(const std::string& text) {
  return error_of([&] { parse_yaml(text, "a.yaml"); });
}

TEST(Yaml, KeepsLinesKindsAndOrder) {
  const YamlNode root = parse_yaml("# comment\nb: 1\na:\n  - \"2\"\n  - {c: ~}\n", "a.yaml");
  ASSERT_EQ(root.keys.size(), 2u);
  EXPECT_EQ(root.keys[0].text, "b");
  EXPECT_EQ(root.items[0].place(), "a.yaml:2");
  EXPECT_EQ(root.keys[1].line, 3);
  const YamlNode& list = root.items[1];
  EXPECT_TRUE(list.items[0].quoted);
  EXPECT_EQ(list.items[1].find("c")->kind, YamlNode::Kind::kNull);
  EXPECT_EQ(list.items[1].find("c")->line, 5);
  EXPECT_EQ(list.items[1].find("d"), nullptr);
}

TEST(Yaml, AnAbsentValueStandsAtItsKey) {
  EXPECT_EQ(parse_yaml("a:\n\n\nb: 1\n", "a.yaml").find("a")->line, 1);
}

TEST(Yaml, AliasesAreCopies) {
  const YamlNode root = parse_yaml("a: &x [1, 2]\nb: *x\n", "a.yaml");
  EXPECT_EQ(root.find("b")->items.size(), 2u);
  EXPECT_EQ(root.find("b")->items[1].text, "2");
}

TEST(Yaml, WhatItRefuses) {
  EXPECT_EQ(error_in("a: 1\nb: 2\na: 3\n"), "a.yaml:3: duplicate key \"a\", first on line 1");
  EXPECT_EQ(error_in("x:\n  a: 1\n  \"a\": 3\n"), "a.yaml:3: duplicate key \"a\", first on line 2");
  EXPECT_EQ(error_in("a: &x {b: 1}\nc:\n  <<: *x\n"),
            "a.yaml:3: merge keys (<<) are not supported; use include, or an alias for each value");
  EXPECT_EQ(error_in("a: [1\nb: 2\n"), "a.yaml:2: end of sequence flow not found");
  EXPECT_EQ(error_in("a: *nobody\n"), "a.yaml:1: the referenced anchor is not defined");
  EXPECT_EQ(error_in("a: &x [*x]\n"), "a.yaml:1: an alias stands inside its own anchor");
  EXPECT_EQ(error_in("a: !!int 3\n"),
            "a.yaml:1: YAML tags are not supported, got tag:yaml.org,2002:int");
  EXPECT_EQ(error_in("a: 1\n---\nb: 1\n"),
            "a.yaml:2: expected one YAML document; more follows here (a stray bracket or ---?)");
  EXPECT_EQ(error_in("? [a]\n: 1\n"), "a.yaml:1: expected a text as key, got a list");
  EXPECT_EQ(error_in("a: 1\nb: \"x\\ny\"\n"),
            "a.yaml:2: expected a text on one line, without control characters");
  EXPECT_EQ(error_in("a: 1\nb: \xff\n"), "a.yaml:2: expected UTF-8 text, got the byte 0xff");
  EXPECT_EQ(error_in("a: \xed\xa0\x80\n"), "a.yaml:1: expected UTF-8 text, got the byte 0xed");
  EXPECT_EQ(error_in("a: 1\n\x04: 2\n"), "a.yaml:2: expected UTF-8 text, got the byte 0x04");
  EXPECT_EQ(error_in("a: \xe2\x82\xac \xf0\x9f\x98\x80\n"), "");
}

TEST(Yaml, BoundsWhatUntrustedFilesMayAskFor) {
  EXPECT_EQ(error_in(std::string(65, '[') + std::string(65, ']')),
            "a.yaml:1: nested deeper than 64 levels");
  EXPECT_EQ(error_in("a: " + std::string(5000, 'x')), "a.yaml:1: a text is longer than 4096 bytes");
  EXPECT_EQ(error_in(std::string(kMaxYamlBytes, ' ') + "a"), "a.yaml: larger than 1048576 bytes");
  std::string bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string below = fmt::format("*a{}", i - 1);
    bomb += fmt::format("a{0}: &a{0} [{1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}]\n", i, below);
  }
  EXPECT_EQ(error_in(bomb), "a.yaml:5: more than 20000 values");
}

TEST(Yaml, FilesThatCannotBeRead) {
  InTempDir dir;
  EXPECT_EQ(error_of([] { read_yaml("no.yaml"); }), "cannot read no.yaml: no such file");
  EXPECT_EQ(error_of([] { read_yaml("."); }), "cannot read .: it is a folder");
  InTempDir::write("big.yaml", std::string(kMaxYamlBytes + 1, '#'));
  EXPECT_EQ(error_of([] { read_yaml("big.yaml"); }), "big.yaml: larger than 1048576 bytes");
}

class Cursor : public testing::Test {
 protected:
  // The error of reading `text` as {ratios: numbers, samples: 1 to 9, on: bool, mode: a or b}.
  static std::string error(const std::string& text) {
    return error_of([&] {
      const YamlNode root = parse_yaml(text, "a.yaml");
      const YamlMap map(root, "the sweep", {"ratios", "samples", "seed", "on", "mode", "text"});
      map.required<std::vector<double>>("ratios");
      map.integer("samples", 1, 1, 9);
      map.optional<uint64_t>("seed", 0);
      map.optional("on", false);
      map.optional<std::string>("text", "");
      map.choice("mode", "auto", {"auto", "cpu"});
    });
  }
};

TEST_F(Cursor, ReadsWhatIsRight) {
  EXPECT_EQ(error("ratios: [0.5, 1e-3, 2, -.5]\nsamples: 9\nseed: 18446744073709551615\n"
                  "on: true\nmode: \"cpu\"\ntext: 12\n"),
            "");
}

TEST_F(Cursor, UnknownAndMissingKeys) {
  EXPECT_EQ(error("on: true\nratois: [0.5]\n"),
            "a.yaml:2: unknown key \"ratois\" in the sweep; did you mean ratios? (known: mode, on, "
            "ratios, samples, seed, text)");
  EXPECT_EQ(error("\non: true\n"), "a.yaml:2: ratios is missing in the sweep");
  EXPECT_EQ(error("[1]"), "a.yaml:1: the sweep: expected a map, got a list");
}

TEST_F(Cursor, WrongTypesAndValues) {
  EXPECT_EQ(error("ratios: abc\n"), "a.yaml:1: ratios: expected a list of numbers, got \"abc\"");
  EXPECT_EQ(error("ratios: 0.5\n"), "a.yaml:1: ratios: expected a list of numbers, got \"0.5\"");
  EXPECT_EQ(error("ratios: []\n"),
            "a.yaml:1: ratios: expected a list of numbers, got an empty list");
  EXPECT_EQ(error("ratios:\n  - 0.5\n  - abc\n"),
            "a.yaml:3: ratios: expected a number, got \"abc\"");
  EXPECT_EQ(error("ratios: [nan]\n"), "a.yaml:1: ratios: expected a number, got \"nan\"");
  EXPECT_EQ(error("ratios: [.inf]\n"), "a.yaml:1: ratios: expected a number, got \".inf\"");
  EXPECT_EQ(error("ratios: [[1]]\n"), "a.yaml:1: ratios: expected a number, got a list");
  const std::string ok = "ratios: [0.5]\n";
  EXPECT_EQ(error(ok + "samples: 1.5\n"), "a.yaml:2: samples: expected an integer, got \"1.5\"");
  EXPECT_EQ(error(ok + "samples: \"5\"\n"),
            "a.yaml:2: samples: expected an integer, got the quoted text \"5\"");
  EXPECT_EQ(error(ok + "samples:\non: true\n"),
            "a.yaml:2: samples: expected an integer, got nothing");
  EXPECT_EQ(error(ok + "samples: 0\n"), "a.yaml:2: samples: expected at least 1, got 0");
  EXPECT_EQ(error(ok + "samples: 10\n"), "a.yaml:2: samples: expected at most 9, got 10");
  EXPECT_EQ(error(ok + "seed: -1\n"),
            "a.yaml:2: seed: expected an integer of at least 0, got \"-1\"");
  EXPECT_EQ(error(ok + "on: yes\n"), "a.yaml:2: on: expected true or false, got \"yes\"");
  EXPECT_EQ(error(ok + "text: {a: 1}\n"), "a.yaml:2: text: expected a text, got a map");
  EXPECT_EQ(error(ok + "text: ''\n"), "a.yaml:2: text: expected a text, got the quoted text \"\"");
  EXPECT_EQ(error(ok + "mode: cpuu\n"),
            "a.yaml:2: unknown mode \"cpuu\"; did you mean cpu? (known: auto, cpu)");
}

}  // namespace
}  // namespace kvbench
