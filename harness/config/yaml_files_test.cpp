#include "harness/config/yaml_files.h"

#include <gtest/gtest.h>

#include "harness/base/test_util.h"

namespace kvbench {
namespace {

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
  EXPECT_EQ(error_of([] { load_yaml("a.yaml"); }),
            here + "b.yaml:1: include: expected a text, got a map");
  InTempDir::write("b.yaml", "x: 1\ny: [\n");
  EXPECT_EQ(error_of([] { load_yaml("a.yaml"); }),
            here + "b.yaml:3: end of sequence flow not found");
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
