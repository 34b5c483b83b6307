// Every preset holds to the invariants; policies that break one are found out.
#include "harness/engine/invariants.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/decode.h"
#include "harness/engine/generate.h"
#include "harness/engine/test_gates.h"
#include "harness/engine/test_profile.h"
#include "harness/engine/tiny_model.h"
#include "policies/allocator.h"

namespace kvbench {
namespace {

// Names of the invariants that do not hold.
std::vector<std::string> broken(const PolicySpec& policy) {
  std::vector<std::string> names;
  for (const auto& result : check_invariants(tiny_model(), Policy(policy))) {
    if (!result.holds) names.push_back(result.name);
  }
  return names;
}

std::vector<std::string> broken(const std::string& policy) {
  return broken(parse_policy_text(policy));
}

// Profiles and gates belong to one model: those of presets are replaced by the tiny model's.
PolicySpec preset_for(const std::string& name, const std::filesystem::path& profile,
                      const std::filesystem::path& gates) {
  PolicySpec preset = parse_policy_text(name);
  for (auto& given : preset.scorer.params) {
    if (given.key == "gate") given.text = (gates / preset.scorer.name).string();
  }
  for (auto& given : preset.allocator.params) {
    if (given.key == "profile") given.text = profile.string();
    if (given.key == "table") given.text = "table";
    if (given.key == "group") given.text = "";
  }
  return preset;
}

TEST(Invariants, HoldForEveryPreset) {
  const auto profile = write_test_profile("presets", tiny_model().config(), 4, 32);
  const auto gates = write_test_gates("presets", tiny_model().config());
  for (const auto& name : preset_names()) {
    EXPECT_EQ(broken(preset_for(name, profile, gates)), std::vector<std::string>{}) << name;
  }
  std::filesystem::remove_all(gates);
  std::filesystem::remove(profile);
}

// Contexts shorter than a window, a budget or a buffer: answered, or refused in one line.
TEST(Invariants, ShortContextsAreTakenOrRefused) {
  const auto profile = write_test_profile("short", tiny_model().config(), 4, 32);
  const auto gates = write_test_gates("short", tiny_model().config());
  std::vector<Policy> policies;
  for (const auto& name : preset_names()) policies.emplace_back(preset_for(name, profile, gates));
  std::filesystem::remove_all(gates);
  for (const int64_t n_tokens : {1, 2, 3, 5, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65}) {
    for (const double ratio : {0.0, 0.5, 0.9, 0.99}) {
      std::vector<PolicyAtRatio> asked;
      for (const Policy& policy : policies) {
        if (!policy.needs_answer()) asked.push_back({&policy, policy.is_full() ? 0 : ratio});
      }
      const auto made =
          compress_context(tiny_model(), some_tokens(n_tokens), asked, {.frame = some_frame()});
      for (size_t i = 0; i < asked.size(); ++i) {
        const CompressedCache& cut = made.caches[i];
        SCOPED_TRACE(fmt::format("{} {} {}", asked[i].policy->name(), n_tokens, ratio));
        if (!cut.error.empty()) {
          EXPECT_NE(cut.error.find("expected"), std::string::npos) << cut.error;
          EXPECT_EQ(cut.error.find('\n'), std::string::npos) << cut.error;
          EXPECT_LT(n_tokens, asked[i].policy->least_tokens()) << cut.error;
          continue;
        }
        const auto answer = generate(tiny_model(), {cut.growing()}, {5}, {3, {}})[0];
        EXPECT_EQ(answer.error, "");
        EXPECT_EQ(answer.tokens.size(), 3u);
      }
    }
  }
  std::filesystem::remove(profile);
}

TEST(Invariants, HoldWithProtection) {
  EXPECT_EQ(broken("{scorer: keydiff, allocator: ada, protect: {sink: 4, recent: 16}}"),
            std::vector<std::string>{});
}

TEST(Invariants, HoldWithOneBudgetForAllHeads) {
  EXPECT_EQ(broken("{scorer: knorm, allocator: global, decode: {when: grid, interval: 16, budget: "
                   "64}}"),
            std::vector<std::string>{});
}

// A policy with a budget of its own holds that one.
TEST(Invariants, HoldWithACapacity) {
  for (const char* allocator : {"uniform", "ada", "pyramid"}) {
    EXPECT_EQ(
        broken(fmt::format("{{scorer: knorm, allocator: {{name: {}, capacity: 64}}}}", allocator)),
        std::vector<std::string>{})
        << allocator;
  }
}

// Draws from the process's generator, not by the sample's seed: every run keeps other tokens.
class UnseededScorer : public Scorer {
 public:
  explicit UnseededScorer(Params&) {}
  at::Tensor score(const LayerView& layer) const override {
    return at::rand({layer.n_kv_heads(), layer.n_tokens()});
  }
};

// Scores that are no numbers.
class NanScorer : public Scorer {
 public:
  explicit NanScorer(Params&) {}
  at::Tensor score(const LayerView& layer) const override {
    return at::full({layer.n_kv_heads(), layer.n_tokens()}, NAN);
  }
};

// Scores that depend on how often it was called.
class ForgetfulScorer : public Scorer {
 public:
  explicit ForgetfulScorer(Params&) {}
  at::Tensor score(const LayerView& layer) const override {
    at::manual_seed(static_cast<uint64_t>(++calls_));
    return at::rand({layer.n_kv_heads(), layer.n_tokens()});
  }

 private:
  mutable int calls_ = 0;
};

// Keeps everything whatever is asked.
class Hoarder : public Allocator {
 public:
  explicit Hoarder(Params&) {}
  KeepCounts allocate(const LayerBudget& budget) const override {
    return std::vector<int64_t>(budget.n_kv_heads(), budget.n_tokens());
  }
};

template <class Base, class Part>
void add_part(const std::string& name) {
  Registry<Base>::instance().add(
      name, [](Params& p) -> std::unique_ptr<Base> { return std::make_unique<Part>(p); }, "", "");
}

TEST(Invariants, BrokenPoliciesAreFoundOut) {
  // Registered only now: the test matrix of all parts must not meet them.
  add_part<Scorer, NanScorer>("test_nan");
  add_part<Scorer, ForgetfulScorer>("test_stateful");
  add_part<Allocator, Hoarder>("test_hoarder");
  const auto contains = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  add_part<Scorer, UnseededScorer>("test_unseeded");
  EXPECT_EQ(broken("{scorer: test_nan, allocator: uniform}"),
            std::vector<std::string>{"can be run"});
  EXPECT_EQ(broken("{scorer: test_unseeded, allocator: uniform}"),
            std::vector<std::string>{"no state leaks between samples"});
  EXPECT_TRUE(contains(broken("{scorer: test_stateful, allocator: uniform}"),
                       "no state leaks between samples"));
  const auto hoarder = broken("{scorer: keydiff, allocator: test_hoarder}");
  EXPECT_TRUE(contains(hoarder, "budget met at 0.5"));
  EXPECT_TRUE(contains(hoarder, "is not a no-op"));
}

}  // namespace
}  // namespace kvbench
