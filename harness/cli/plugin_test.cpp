// A policy of the user's own, built by one command and loaded without a rebuild.
#include <gtest/gtest.h>

#include "harness/cli/test_process.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using test_process::Outcome;
using test_process::Process;

const fs::path kTemplate = fs::path(KVBENCH_TEST_ROOT) / "policies/plugin_template";
const std::string kPolicy = "{scorer: {name: value_norm, power: 2}, allocator: uniform}";

class Plugin : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("kvbench_plugin_{}", getpid());
    fs::create_directories(folder_);
    const std::string build = fmt::format(
        "KVBENCH_BUILD='{}' '{}' '{}' '{}'", fs::path(KVBENCH_BINARY).parent_path().string(),
        (kTemplate / "build.sh").string(), (kTemplate / "value_norm.cpp").string(),
        (folder_ / "value_norm.so").string());
    ASSERT_EQ(std::system(build.c_str()), 0);
  }
  void TearDown() override { fs::remove_all(folder_); }

  Outcome run(const std::vector<std::string>& arguments) const {
    return Process(folder_, arguments).wait();
  }

  fs::path folder_;
};

TEST_F(Plugin, TemplateBuildsLoadsAndHoldsTheInvariants) {
  const Outcome checked = run({"check-policy", kPolicy, "--plugin", "./value_norm.so"});
  EXPECT_EQ(checked.status, 0) << checked.out << checked.err;
  EXPECT_NE(checked.out.find("ok     budget met at 0.8"), std::string::npos) << checked.out;
  EXPECT_EQ(checked.out.find("BROKEN"), std::string::npos);

  const Outcome unknown = run({"check-policy", kPolicy});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_NE(unknown.err.find("unknown scorer \"value_norm\""), std::string::npos) << unknown.err;

  const Outcome missing = run({"check-policy", kPolicy, "--plugin", "./none.so"});
  EXPECT_EQ(missing.status, 2);
  EXPECT_NE(missing.err.find("none.so: no such file"), std::string::npos) << missing.err;

  std::ofstream(folder_ / "text.so") << "no library";
  const Outcome text = run({"check-policy", kPolicy, "--plugin", "./text.so"});
  EXPECT_EQ(text.status, 2);
  EXPECT_NE(text.err.find("text.so: cannot be loaded"), std::string::npos) << text.err;

  fs::copy(folder_ / "value_norm.so", folder_ / "again.so");
  const Outcome twice = run({"check-policy", kPolicy, "--plugin", "./value_norm.so", "./again.so"});
  EXPECT_EQ(twice.status, 2);
  EXPECT_NE(twice.err.find("is registered twice"), std::string::npos) << twice.err;
}

}  // namespace
}  // namespace kvbench
