// Profiles: read whole, and by the allocators that take their budgets from them.
#include "harness/base/files.h"
#include "harness/fuzz/target.h"
#include "harness/profile/learn.h"
#include "harness/profile/profile_data.h"
#include "policies/allocators/test_allocator.h"

namespace kvbench::fuzz {
namespace {

// One layer of two heads, two entries of four tokens of which one is protected.
ProfileData small_profile() {
  ProfileData data;
  for (const char* name :
       {"name", "config", "identity", "model_hash", "tokenizer_hash", "data_hash", "plugin_hashes",
        "git_commit", "model", "device", "versions"}) {
    data.attributes[name] = name;
  }
  data.complete = data.has_losses = true;
  data.n_layers = 1;
  data.n_kv_heads = 2;
  data.entries = {{0, 0, 4}, {1, 0, 4}};
  ScorerCurve curve;
  curve.prune_ratios.assign(99 * 2, 0.25);
  curve.hull = {{{0.5, 1}, {1.5, 2}}, {{2, 3}}};
  curve.losses = {{0.5, 2, 1}, {2, 2, 2}};
  curve.scores = {{-1, 0, 0}, {1, 2, 3}};
  for (size_t h = 0; h < 2; ++h) {
    curve.groups.push_back(lukv::rank_groups(curve.scores[h], curve.losses[h]));
  }
  data.scorers = {{"one", "keydiff", 1, 0, {curve, curve}, {}}};
  return data;
}

void read_all(const std::filesystem::path& folder) {
  const ProfileData data = read_profile(folder / "profile.h5");
  for (const ScorerProfile& scorer : data.scorers) {
    average(data, scorer);
    learn_curves(data, scorer);
  }
}

void make_allocators(const std::filesystem::path& folder) {
  const std::string file = (folder / "profile.h5").string();
  for (const char* name : {"lukv", "lukv_curves", "lukv_online"}) {
    const bool table = std::string_view(name) == "lukv";
    make_allocator(name,
                   {{"profile", file}, {table ? "table" : "group", table ? "one/table" : "one"}})
        ->validate({1, 2, "keydiff", 1, 0});
  }
}

}  // namespace

std::vector<Target> profile_targets() {
  const auto prepare = [](const std::filesystem::path& folder) -> std::vector<std::string> {
    write_profile(folder / "good.h5", small_profile());
    return {read_file(folder / "good.h5")};
  };
  return {{"profile", "profile.h5", {}, prepare, read_all},
          {"allocators", "profile.h5", {}, prepare, make_allocators}};
}

}  // namespace kvbench::fuzz
