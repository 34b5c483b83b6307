#include "harness/base/yaml.h"

#include <gtest/gtest.h>

#include "harness/base/yaml_map.h"
#include "harness/config/config_test_util.h"
#include "harness/config/yaml_files.h"

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
  InTempDir::write("empty.yaml", "");
  EXPECT_EQ(error_of([] { load_yaml("empty.yaml"); }),
            "empty.yaml: expected a map of settings, got nothing");
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

TEST(YamlFiles, LocalKeysWinAndKeepTheirFile) {
  InTempDir dir;
  InTempDir::write("sub/base.yaml", "include: deep.yaml\na: base\nb: base\n");
  InTempDir::write("sub/deep.yaml", "a: deep\nd: deep\n");
  InTempDir::write("other.yaml", "b: other\n");
  InTempDir::write("top.yaml", "include: [sub/base.yaml, other.yaml]\nc: top\n");
  const std::string here = std::filesystem::current_path().string() + "/";
  const YamlNode root = load_yaml("top.yaml");
  EXPECT_EQ(root.keys.size(), 4u);
  EXPECT_EQ(root.find("include"), nullptr);
  EXPECT_EQ(root.find("a")->text, "base");
  EXPECT_EQ(root.find("a")->place(), here + "sub/base.yaml:2");
  EXPECT_EQ(root.find("b")->place(), here + "other.yaml:1");
  EXPECT_EQ(root.find("d")->place(), here + "sub/deep.yaml:2");
  EXPECT_EQ(root.find("c")->place(), "top.yaml:2");
}

TEST(YamlFiles, IncludesThatFail) {
  InTempDir dir;
  const std::string here = std::filesystem::current_path().string() + "/";
  InTempDir::write("a.yaml", "include: b.yaml\n");
  InTempDir::write("b.yaml", "x: 1\ninclude: ./a.yaml\n");
  EXPECT_EQ(error_of([] { load_yaml("a.yaml"); }),
            fmt::format("{0}b.yaml:2: include: files include each other: a.yaml -> {0}b.yaml -> "
                        "{0}a.yaml",
                        here));
  InTempDir::write("b.yaml", "include: [no.yaml]\n");
  EXPECT_EQ(error_of([] { load_yaml("a.yaml"); }),
            fmt::format("{0}b.yaml:1: include: cannot read {0}no.yaml: no such file", here));
  InTempDir::write("b.yaml", "include: {no: 1}\n");
  EXPECT_EQ(error_of([] { load_yaml("a.yaml"); }), here + "b.yaml:1: include: expected a text, got a map");
  InTempDir::write("b.yaml", "x: 1\ny: [\n");
  EXPECT_EQ(error_of([] { load_yaml("a.yaml"); }), here + "b.yaml:3: end of sequence flow not found");
  // Fans out 9 ways per level: refused long before it ends.
  for (int i = 0; i < 20; ++i) {
    const std::string next = fmt::format("f{}.yaml", i + 1);
    InTempDir::write(fmt::format("f{}.yaml", i),
                     fmt::format("include: [{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}]", next));
  }
  InTempDir::write("f20.yaml", "x: 1\n");
  EXPECT_EQ(error_of([] { load_yaml("f0.yaml"); }),
            here + "f19.yaml:1: include: more than 64 included files");
}

std::string after_set(const std::string& set) {
  YamlNode root = parse_yaml("a: 1\nt: [{s: 1}, {s: 2}]\nm: {k: 1}\n", "a.yaml");
  const std::string error = error_of([&] { apply_set(root, set); });
  if (!error.empty()) return error;
  const YamlNode& t = root.items[1];
  const YamlNode* added = root.find("n");
  return fmt::format("{} {} {} {} {}", root.items[0].text, t.items[0].items[0].text,
                     t.items[1].items[0].text, root.items[2].items[0].text,
                     added == nullptr ? "-" : describe(*added));
}

TEST(YamlFiles, SetReplacesAndAdds) {
  EXPECT_EQ(after_set("a=5"), "5 1 2 1 -");
  EXPECT_EQ(after_set("t.1.s=x=y"), "1 1 x=y 1 -");
  EXPECT_EQ(after_set("m.k=\"7\""), "1 1 2 7 -");
  EXPECT_EQ(after_set("n=[1, 2]"), "1 1 2 1 a list");
  EXPECT_EQ(after_set("n.o.p=1"), "1 1 2 1 a map");
}

TEST(YamlFiles, SetThatFails) {
  EXPECT_EQ(after_set("t.2.s=5"), "--set t.2.s=5: no item \"2\" in t, which has 2, counted from 0");
  EXPECT_EQ(after_set("t.x.s=5"), "--set t.x.s=5: no item \"x\" in t, which has 2, counted from 0");
  EXPECT_EQ(after_set("a.b=5"), "--set a.b=5: no key \"b\" in a, which is \"1\"");
  EXPECT_EQ(after_set("m.k.x=5"), "--set m.k.x=5: no key \"x\" in m.k, which is \"1\"");
  for (const char* text : {"a", "=1", "a..b=1", ".a=1"}) {
    EXPECT_EQ(after_set(text),
              fmt::format("--set {}: expected KEY=VALUE or KEY.KEY=VALUE, as in tasks.0.samples=5",
                          text));
  }
  EXPECT_EQ(after_set("a=[1"), "--set a=[1: end of sequence flow not found");
  EXPECT_EQ(after_set("a={b: 1, b: 2}"), "--set a={b: 1, b: 2}: duplicate key \"b\"");
  EXPECT_EQ(after_set(std::string(200, '\x80')),
            "--set ...: expected KEY=VALUE or KEY.KEY=VALUE, as in tasks.0.samples=5");
  EXPECT_EQ(after_set("a.\nb=1"),
            "--set a....: expected KEY=VALUE or KEY.KEY=VALUE, as in tasks.0.samples=5");
  EXPECT_EQ(after_set("a.b=" + std::string(200, 'x')),
            "--set a.b=" + std::string(96, 'x') + "...: no key \"b\" in a, which is \"1\"");
}

}  // namespace
}  // namespace kvbench
