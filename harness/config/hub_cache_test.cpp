#include "harness/config/hub_cache.h"

#include <gtest/gtest.h>

#include "harness/base/data_sets.h"
#include "harness/base/test_util.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

TEST(HubCache, DataSetsLieBesideModels) {
  const InTempDir dir;
  const WithEnv cache("HF_HUB_CACHE", fs::current_path().c_str());
  const std::string commit(40, 'a');
  InTempDir::write("datasets--org--few/snapshots/" + commit + "/data.zip", "PK");
  EXPECT_EQ(find_snapshot("org/few", commit, HubKind::kDataSet).commit, commit);
  EXPECT_EQ(find_snapshot("org/few", commit).commit, "");  // no model of this name
  EXPECT_EQ(find_snapshot("org/few", std::string(40, 'b'), HubKind::kDataSet).commit, "");
}

TEST(HubCache, FilesOfASnapshot) {
  const InTempDir dir;
  for (const char* name : {"data.zip", "4096/test-00000-of-00002.parquet", "README.md",
                           "4096/test-00001-of-00002.parquet", "4096/train-00000-of-00001.parquet",
                           "4096/old/test-00000-of-00001.parquet"}) {
    const fs::path blob = fs::absolute("blobs") / fs::path(name).filename();
    InTempDir::write(blob, "x");
    fs::create_directories((fs::path("s") / name).parent_path());
    fs::create_symlink(blob, fs::path("s") / name);
  }
  const Names parts = {"4096/test-00000-of-00002.parquet", "4096/test-00001-of-00002.parquet"};
  EXPECT_EQ(cached_files("s", {"data.zip"}), Names{"data.zip"});
  EXPECT_EQ(cached_files("s", {"4096/test-*.parquet"}), parts);
  EXPECT_EQ(cached_files("s", {"data.zip", "none"}), Names{});
  EXPECT_EQ(cached_files("none", {"data.zip"}), Names{});
  // What an interrupted download leaves: one of two parts, or a link into nothing.
  fs::remove("s/4096/test-00000-of-00002.parquet");
  EXPECT_EQ(cached_files("s", {"4096/test-*.parquet"}), Names{});
  fs::create_symlink("nothing", "s/4096/test-00000-of-00002.parquet");
  EXPECT_EQ(cached_files("s", {"4096/test-*.parquet"}), Names{});
}

TEST(HubCache, OurDataSets) {
  const Names names = data_set_names();
  EXPECT_EQ(names,
            (Names{"hotpotqa", "longbench", "ruler-16384", "ruler-4096", "ruler-8192", "squad"}));
  for (const auto& name : names) {
    const DataSet set = named_data_set(name);
    EXPECT_TRUE(is_hub_name(set.hub)) << name;
    EXPECT_TRUE(set.formerly.empty() || is_hub_name(set.formerly)) << name;
  }
}

}  // namespace
}  // namespace kvbench
