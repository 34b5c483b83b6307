#include "harness/base/paths.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "harness/base/error.h"
#include "harness/base/yaml_map.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

TEST(Paths, OneRule) {
  setenv("HOME", "/home/me", 1);
  EXPECT_EQ(resolve_path("a.h5", "/x/configs"), "/x/configs/a.h5");
  EXPECT_EQ(resolve_path("../r/./a.h5", "/x/configs"), "/x/r/a.h5");
  EXPECT_EQ(resolve_path("/b/a.h5", "/x/configs"), "/b/a.h5");
  EXPECT_EQ(resolve_path("~/a.h5", "/x/configs"), "/home/me/a.h5");
  EXPECT_EQ(resolve_path("~", "/x"), "/home/me");
  EXPECT_EQ(resolve_path("~other/a", "/x"), "/x/~other/a");  // a name like any other
  EXPECT_EQ(resolve_path("a.h5", ""), fs::current_path() / "a.h5");
  EXPECT_EQ(resolve_path("a.h5", "configs"), fs::current_path() / "configs/a.h5");
  unsetenv("HOME");
  EXPECT_THROW(resolve_path("~/a.h5", ""), InputError);
}

TEST(Paths, OfAYamlValueBeginWhereItStands) {
  const YamlNode file = parse_yaml("output: a.h5\nhome: 3\n", "/x/configs/sweep.yaml");
  EXPECT_EQ(YamlMap(file, "it", {"home", "output"}).path("output"), "/x/configs/a.h5");
  EXPECT_EQ(YamlMap(file, "it", {"home", "none", "output"}).path("none"), "");
  const YamlNode typed = parse_yaml("output: a.h5", "--set /x/y=1", false);
  EXPECT_EQ(YamlMap(typed, "it", {"output"}).path("output"), fs::current_path() / "a.h5");
}

}  // namespace
}  // namespace kvbench
