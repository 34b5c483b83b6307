#include "harness/base/data_sets.h"

#include <gtest/gtest.h>

#include "harness/base/test_util.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

const std::string kCommit(40, 'a');

// A source tree with one data set, and its folder.
class DataSets : public testing::Test {
 protected:
  DataSets() {
    define("version: 2");
    InTempDir::write("deps/data/few/a.jsonl", "one\n");
    InTempDir::write("deps/data/few/b/c.json", "{}");
    write_manifest(kCommit, 2);
  }

  static void define(const std::string& last) {
    InTempDir::write("configs/data/few.yaml", "hub: org/few\nrevision: " + kCommit +
                                                  "\nfiles: [x.zip]\nconvert: longbench\n" + last);
  }

  static void write_manifest(const std::string& revision, int version) {
    InTempDir::write("deps/data/few/manifest.json",
                     fmt::format(R"({{"hub": "org/few", "revision": "{}", "convert": "longbench",
 "version": {}, "sources": [{{"name": "x.zip", "bytes": 9, "sha256": "0"}}], "files": [
 {{"name": "a.jsonl", "bytes": 4, "sha256": "1"}}, {{"name": "b/c.json", "bytes": 2, "sha256": "2"}}]}})",
                                 revision, version));
  }

  // That the folder is refused, why, and the way out.
  static void expect_refused(const std::string& why) {
    const std::string what = error_of([] { data_folder("few"); });
    EXPECT_TRUE(what.starts_with("data set few: ")) << what;
    EXPECT_TRUE(what.ends_with("; ./kvbench data fetch few gets it")) << what;
    EXPECT_NE(what.find(why), what.npos) << what;
    EXPECT_FALSE(is_made(named_data_set("few")));
  }

  InTempDir dir_;
  WithEnv root_{"KVBENCH_ROOT", fs::current_path().c_str()};
  WithEnv deps_{"KVBENCH_DEPS", (fs::current_path() / "deps").c_str()};
};

TEST_F(DataSets, AFolderIsGivenWhenItIsWhole) {
  EXPECT_EQ(data_folder("few"), fs::current_path() / "deps/data/few");
  const DataManifest manifest = read_manifest(named_data_set("few"));
  ASSERT_EQ(manifest.files.size(), 2u);
  EXPECT_EQ(manifest.files[1].name, "b/c.json");
  EXPECT_EQ(manifest.files[1].sha256, "2");
  ASSERT_EQ(manifest.sources.size(), 1u);
  EXPECT_EQ(manifest.sources[0].bytes, 9);
}

TEST_F(DataSets, AnyOtherIsRefused) {
  InTempDir::write("deps/data/few/a.jsonl", "other\n");
  expect_refused("few/a.jsonl: expected 4 bytes, got 6");
  fs::remove("deps/data/few/a.jsonl");
  expect_refused("few/a.jsonl: there is no such file");
  InTempDir::write("deps/data/few/a.jsonl", "one\n");
  EXPECT_TRUE(is_made(named_data_set("few")));
  write_manifest(kCommit, 1);
  expect_refused("made from another revision, or in another way");
  write_manifest(std::string(40, 'b'), 2);
  expect_refused("made from another revision, or in another way");
  InTempDir::write("deps/data/few/manifest.json", "{\"hub\": ");
  expect_refused("manifest.json: not valid JSON");
  fs::remove_all("deps/data/few");
  expect_refused("manifest.json: cannot be read: there is no such file");
}

TEST_F(DataSets, Definitions) {
  EXPECT_EQ(data_set_names(), std::vector<std::string>{"few"});
  EXPECT_EQ(error_of([] { data_folder("fw"); }),
            "unknown data set \"fw\"; did you mean few? (known: few)");
  define("version: 2\nrevison: main");
  EXPECT_NE(error_of([] { named_data_set("few"); }).find("did you mean revision?"),
            std::string::npos);
  InTempDir::write(
      "configs/data/few.yaml",
      "hub: org/few\nrevision: main\nfiles: [x.zip]\nconvert: longbench\nversion: 1\n");
  EXPECT_NE(error_of([] {
              named_data_set("few");
            }).find("few.yaml:2: revision: expected a commit (40 hexadecimal digits), got main"),
            std::string::npos);
}

}  // namespace
}  // namespace kvbench
