// A policy of the user's own, built by one command and loaded without a rebuild.
#include <gtest/gtest.h>

#include "harness/base/hdf5.h"
#include "harness/base/test_util.h"
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
    const std::string build = fmt::format(
        "KVBENCH_BUILD='{}' '{}' '{}' '{}'", fs::path(KVBENCH_BINARY).parent_path().string(),
        (kTemplate / "build.sh").string(), (kTemplate / "value_norm.cpp").string(),
        (folder_ / "value_norm.so").string());
    ASSERT_EQ(std::system(build.c_str()), 0);
  }

  Outcome run(const std::vector<std::string>& arguments) const {
    return Process(folder_, arguments).wait();
  }

  TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path();
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
  EXPECT_NE(text.err.find("text.so: is no plug-in"), std::string::npos) << text.err;

  fs::copy(folder_ / "value_norm.so", folder_ / "again.so");
  const Outcome twice = run({"check-policy", kPolicy, "--plugin", "./value_norm.so", "./again.so"});
  EXPECT_EQ(twice.status, 2);
  EXPECT_NE(twice.err.find("is registered twice"), std::string::npos) << twice.err;
}

TEST_F(Plugin, OfOtherHeadersIsRefusedBeforeItsCodeRuns) {
  std::string bytes = test_process::read_bytes(folder_ / "value_norm.so");
  const std::string stamp = "kvbench plug-in stamp ";
  const size_t at = bytes.find(stamp) + stamp.size();
  ASSERT_LT(at, bytes.size());
  bytes[at] = bytes[at] == '0' ? '1' : '0';
  test_process::write_bytes(folder_ / "old.so", bytes);
  test_process::expect_refused(run({"check-policy", kPolicy, "--plugin", "./old.so"}),
                               {"old.so: was built against other headers", "build.sh"});
  // Built by hand: nothing says what it fits.
  const size_t prefix = at - stamp.size();
  test_process::write_bytes(folder_ / "bare.so", bytes.replace(prefix, 7, "KVBENCH"));
  test_process::expect_refused(run({"check-policy", kPolicy, "--plugin", "./bare.so"}),
                               {"bare.so: is no plug-in", "build.sh"});
}

TEST_F(Plugin, IsListedAndBelongsToItsPoliciesAlone) {
  const Outcome listed = run({"list", "scorers", "-v", "--plugin", "value_norm.so"});
  EXPECT_EQ(listed.status, 0) << listed.err;
  EXPECT_NE(listed.out.find("value_norm "), std::string::npos) << listed.out;
  EXPECT_NE(listed.out.find("exponent of the norm"), std::string::npos) << listed.out;
  EXPECT_NE(listed.out.find("keydiff "), std::string::npos) << listed.out;

  test_process::write_bytes(folder_ / "ids.txt", test_process::id_lines(1, 40));
  const auto identity = [&](const std::string& policy) {
    const Outcome done = run({"inspect", "--model", test_process::tiny_model().string(), "--tokens",
                              "ids.txt", "--policy", policy, "--ratio", "0.5", "--output", "o.h5",
                              "--plugin", "value_norm.so"});
    EXPECT_EQ(done.status, 0) << done.err;
    const h5::File file(folder_ / "o.h5", h5::Mode::kRead);
    return h5::read_attribute<std::string>(file, "/", "policy");
  };
  EXPECT_NE(identity(kPolicy).find("+plugin("), std::string::npos) << identity(kPolicy);
  EXPECT_EQ(identity("keydiff").find("plugin"), std::string::npos);
}

}  // namespace
}  // namespace kvbench
