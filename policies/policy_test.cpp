#include "policies/policy.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "harness/base/error.h"
#include "policies/allocators/test_profile_file.h"
#include "policies/lukv/mean_curve.h"

namespace kvbench {
namespace {

class PolicyTest : public ProfileFileTest {
 protected:
  // keydiff with budgets of `profile`, group "one", made with sink 2 and window 8.
  static PolicySpec spec_of(const std::filesystem::path& profile,
                            std::vector<Params::Given> more = {}) {
    PolicySpec spec;
    spec.name = "any";
    spec.scorer.name = "keydiff";
    spec.allocator.name = "lukv_curves";
    spec.allocator.params = {{"profile", profile.string()}, {"group", "one"}};
    spec.allocator.params.insert(spec.allocator.params.end(), more.begin(), more.end());
    spec.protect = {{"sink", "2"}, {"recent", "8"}};
    return spec;
  }

  void write_profile(const std::string& scorer) {
    write("one/mean_curve", 2, 2, lukv::kParts, [](int64_t head, int64_t) { return head + 1; });
    write_protection("one", 2, 8);
    h5::write_attribute(file_, "one", "scorer", scorer);
    h5::write_attribute(file_, "/", "model_hash", std::string("abc"));
    h5::write_attribute(file_, "/", "model", std::string("small (float32)"));
    file_.close();
  }

  // What a policy is refused for on a model of that hash; "" = nothing.
  static std::string refusal(const PolicySpec& spec, const std::string& model_hash = "abc") {
    try {
      Policy(spec).validate({2, 2}, [&] { return model_hash; });
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  }
};

TEST_F(PolicyTest, IsKnownByContentsAndNotByNamesOrPaths) {
  write_profile("keydiff");
  const auto copy = path_.parent_path() / "another_place.h5";
  std::filesystem::copy_file(path_, copy, std::filesystem::copy_options::overwrite_existing);
  PolicySpec renamed = spec_of(copy);
  renamed.name = "other";
  const Policy policy(spec_of(path_));
  EXPECT_EQ(policy.canonical(), Policy(renamed).canonical());
  EXPECT_EQ(policy.canonical().find(path_.filename().string()), std::string::npos);
  EXPECT_TRUE(policy.file_hashes().starts_with(path_.string() + " ")) << policy.file_hashes();
  EXPECT_EQ(policy.plugin_hashes(), "");
  {
    const h5::File file(copy, h5::Mode::kAppend);
    h5::write_attribute(file, "/", "model", std::string("another content"));
  }
  EXPECT_NE(policy.canonical(), Policy(renamed).canonical());
  std::filesystem::remove(copy);
}

TEST_F(PolicyTest, PairsAProfileOnlyWithWhatItWasMadeWith) {
  write_profile(Policy([] {
                  PolicySpec spec;
                  spec.scorer.name = "keydiff";
                  spec.allocator.name = "uniform";
                  return spec;
                }())
                    .scorer());
  const PolicySpec right = spec_of(path_);
  EXPECT_EQ(refusal(right), "");
  EXPECT_EQ(refusal(right, "abd"), "allocator lukv_curves: " + path_.string() +
                                       ": one was made with the model small (float32) of hash abc, "
                                       "but is paired with one of hash abd; `force: true` beside "
                                       "`profile` takes it all the same");
  PolicySpec scorer = right, sink = right, forced = spec_of(path_, {{"force", "true"}});
  scorer.scorer.name = "knorm";
  EXPECT_NE(refusal(scorer).find("made with scorer keydiff"), std::string::npos) << refusal(scorer);
  EXPECT_NE(refusal(scorer).find("paired with scorer knorm"), std::string::npos) << refusal(scorer);
  sink.protect[1].text = "9";
  EXPECT_NE(refusal(sink).find("made with protect {sink: 2, recent: 8}, but is paired with protect "
                               "{sink: 2, recent: 9}"),
            std::string::npos)
      << refusal(sink);
  forced.scorer.name = "knorm";
  EXPECT_EQ(refusal(forced, "abd"), "");
  // Whoever does not know the model has nothing to compare.
  EXPECT_NO_THROW(Policy(right).validate({2, 2}));
}

TEST(Policy, TellsWhetherTheRatioMatters) {
  PolicySpec spec;
  spec.scorer.name = "keydiff";
  for (const char* allocator : {"uniform", "ada", "pyramid", "global"}) {
    spec.allocator = {allocator, {}, "", 0};
    EXPECT_FALSE(Policy(spec).ignores_ratio()) << allocator;
    spec.allocator.params = {{"capacity", "64"}};
    EXPECT_TRUE(Policy(spec).ignores_ratio()) << allocator;
  }
  PolicySpec full;
  full.full = true;
  EXPECT_FALSE(Policy(full).ignores_ratio());
}

}  // namespace
}  // namespace kvbench
