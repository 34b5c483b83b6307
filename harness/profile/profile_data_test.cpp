#include "harness/profile/profile_data.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <limits>

#include "harness/base/error.h"
#include "harness/base/test_util.h"
#include "harness/profile/gap_report.h"
#include "harness/profile/learn.h"
#include "harness/profile/profile_parts.h"
#include "policies/allocator.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

// One layer of two heads, two entries of four tokens; the first is protected.
ProfileData sample_profile() {
  ProfileData data;
  for (const char* name :
       {"name", "config", "identity", "model_hash", "tokenizer_hash", "data_hash", "plugin_hashes",
        "git_commit", "model", "device", "versions"}) {
    data.attributes[name] = std::string("the ") + name;
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
  ScorerCurve other = curve;
  other.prune_ratios.assign(99 * 2, 0.75);
  data.scorers = {{"one", "keydiff", 1, 0, {curve, other}, {}}};
  return data;
}

class ProfileDataTest : public testing::Test {
 protected:
  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "profile.h5";
};

TEST_F(ProfileDataTest, ReadsWhatItWrites) {
  const ProfileData data = sample_profile();
  write_profile(path_, data);
  const ProfileData read = read_profile(path_);
  EXPECT_EQ(read.attributes, data.attributes);
  EXPECT_TRUE(read.complete);
  EXPECT_TRUE(read.has_losses);
  ASSERT_EQ(read.entries.size(), 2U);
  EXPECT_EQ(read.entries[1].context, 1);
  ASSERT_EQ(read.scorers.size(), 1U);
  EXPECT_EQ(read.scorers[0].scorer, "keydiff");
  EXPECT_EQ(read.scorers[0].sink, 1);
  ASSERT_EQ(read.scorers[0].curves.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    const ScorerCurve &got = read.scorers[0].curves[i], &want = data.scorers[0].curves[i];
    EXPECT_EQ(got.prune_ratios, want.prune_ratios);
    EXPECT_EQ(got.hull, want.hull);
    EXPECT_EQ(got.losses, want.losses);
    EXPECT_EQ(got.scores, want.scores);
    for (size_t h = 0; h < 2; ++h) {
      EXPECT_EQ(got.groups[h].scores, want.groups[h].scores);
      EXPECT_EQ(got.groups[h].losses, want.groups[h].losses);
      EXPECT_EQ(got.groups[h].sizes, want.groups[h].sizes);
    }
  }
}

TEST_F(ProfileDataTest, MeanAndDeviation) {
  const ProfileData data = sample_profile();
  const AveragedCurves averaged = average(data, data.scorers[0]);
  EXPECT_EQ(averaged.table.dims, (std::vector<int64_t>{99, 1, 2}));
  EXPECT_DOUBLE_EQ(averaged.table.values[0], 0.5);
  EXPECT_DOUBLE_EQ(averaged.spread.values[0], std::sqrt(0.125));
}

// The file is what the allocator reads.
TEST_F(ProfileDataTest, ServesTheAllocator) {
  write_profile(path_, sample_profile());
  Params params("allocator lukv", "", {{"profile", path_.string()}, {"table", "one/table"}});
  const auto lukv = Registry<Allocator>::instance().find("lukv").make(params);
  EXPECT_NO_THROW(lukv->validate({1, 2, "keydiff", 1, 0}));
}

TEST_F(ProfileDataTest, RefusesOtherFiles) {
  EXPECT_THROW(read_profile(path_), InputError);
  { h5::File(path_, h5::Mode::kCreate); }
  EXPECT_THROW(read_profile(path_), InputError);
  std::ofstream(path_) << "no HDF5";
  EXPECT_THROW(read_profile(path_), InputError);
}

// Replaces one dataset or attribute of a sound file at a time: every size and offset is untrusted.
TEST_F(ProfileDataTest, RefusesCraftedFiles) {
  ProfileData data = sample_profile();
  data.scorers.push_back(data.scorers[0]);
  data.scorers.back().name = "two";
  const auto refusal = [&](const std::function<void(const h5::File&)>& craft) -> std::string {
    write_profile(path_, data);
    try {
      {
        const h5::File file(path_, h5::Mode::kAppend);
        craft(file);
      }
      read_profile(path_);
    } catch (const InputError& e) {
      return e.what();
    }
    return "accepted";
  };
  const auto with = [&]<class T>(const std::string& name, const std::vector<int64_t>& dims,
                                 const std::vector<T>& values) {
    return refusal([&](const h5::File& file) {
      file.check(H5Ldelete(file.id(), name.c_str(), H5P_DEFAULT), name);
      h5::write_array<T>(file, name, dims, values);
    });
  };
  const auto says = [](const std::string& refused, const std::string& part) {
    EXPECT_NE(refused.find(part), std::string::npos) << refused << "\n  lacks: " << part;
  };
  EXPECT_EQ(refusal([](const h5::File&) {}), "accepted");
  using Ints = std::vector<int32_t>;
  says(with("entries", {2, 3}, Ints{0, 0, 4, 1, 0, -4}), "found 1, 0, -4");
  says(with("entries", {2, 3}, Ints{0, 0, 4, -1, 0, 4}), "found -1, 0, 4");
  says(with("entries", {2, 3}, Ints{0, 0, 4, 1, 0, 1}), "1 tokens, of which 1 are protected");
  says(with("entries", {6}, Ints{0, 0, 4, 1, 0, 4}), "entries");
  says(with("entries", {0, 3}, Ints{}), "at least one");
  says(with("entries", {1, 3}, Ints{0, 0, 4}), "one/curves: expected shape [1, 99, 1, 2]");
  // The second scorer claims other heads than the first.
  says(with("two/curves", {2, 99, 2, 1}, std::vector<float>(396, 0.5)),
       "two/curves: expected shape [2, 99, 1, 2], found [2, 99, 2, 1]");
  says(with("one/curves", {2, 99, 1, 0}, std::vector<float>()), "one/curves");
  says(with("one/curves", {2, 99, 1, 2}, std::vector<float>(396, 1.5)), "found 1.5");
  says(with("one/curves", {2, 99, 1, 2}, std::vector<float>(396, NAN)), "found nan");
  using Longs = std::vector<int64_t>;
  says(with("one/hull_offsets", {5}, Longs{0, 2, 3, 5, 6}), "accepted");
  says(with("one/hull_offsets", {5}, Longs{0, 3, 2, 5, 6}), "ascend from 0");
  says(with("one/hull_offsets", {5}, Longs{1, 2, 3, 5, 6}), "ascend from 0");
  says(with("one/hull_offsets", {5}, Longs{-9, 2, 3, 5, 6}), "found -9");
  says(with("one/hull_offsets", {5}, Longs{0, 2, 3, 5, int64_t{1} << 62}), "hull_slopes");
  says(with("one/hull_offsets", {4}, Longs{0, 2, 3, 6}), "expected shape [5]");
  says(with("one/hull_tokens", {6}, Ints{1, 2, 3, 1, 2, 4}), "expected 3 tokens in a head");
  says(with("one/hull_tokens", {6}, Ints{1, 2, 3, 1, 2, -3}), "found -3");
  says(with("one/losses", {11}, std::vector<float>(11, 1)), "expected shape [12], found [11]");
  says(with("one/group_scores", {2, 1, 2, 64}, std::vector<float>(256, INFINITY)), "found inf");
  says(refusal([](const h5::File& file) { h5::write_attribute(file, "one", "sink", int64_t{-1}); }),
       "sink: expected 0 to");
  says(refusal([](const h5::File& file) {
         h5::write_attribute(file, "one", "window", std::numeric_limits<int64_t>::max());
       }),
       "window: expected 0 to");
  says(refusal([](const h5::File& file) {
         file.check(H5Ldelete(file.id(), "two/losses", H5P_DEFAULT), "two");
       }),
       "two: has losses, or lacks them");
}

TEST_F(ProfileDataTest, PartsAreReadInOrderAndLeaveOtherFilesAlone) {
  ProfileData group = sample_profile();
  group.complete = false;
  group.entries = {{0, 0, 4}, {1, 0, 4}};
  const ProfileParts parts(path_);
  EXPECT_TRUE(parts.files().empty());
  ProfileData later = group;
  later.entries = {{2, 0, 4}, {3, 0, 4}};
  parts.add(later);
  parts.add(group);
  const auto folder = parts.files().at(0).parent_path();
  std::ofstream(folder / "0000000009.h5.tmp") << "what a kill left";
  std::ofstream(folder / "mine.txt") << "the user's";
  ASSERT_EQ(parts.files().size(), 2U);
  EXPECT_EQ(read_profile(parts.files()[0]).entries[0].context, 0);
  EXPECT_EQ(read_profile(parts.files()[1]).entries[0].context, 2);
  EXPECT_FALSE(h5::exists(h5::File(parts.files()[0], h5::Mode::kRead), "one/table"));
  parts.remove();
  EXPECT_TRUE(parts.files().empty());
  EXPECT_TRUE(std::filesystem::exists(folder / "mine.txt"));
  std::filesystem::remove_all(folder);
}

TEST_F(ProfileDataTest, GapReport) {
  ProfileData data = sample_profile();
  const auto gaps = measure_gaps(data, data, 0);
  ASSERT_EQ(gaps.size(), 1U);
  ASSERT_EQ(gaps[0].size(), 9U);
  const Grid grid = gap_table("gap", gaps[0]);
  // Half of 8 entries: 4 of the 6 free tokens, of 9.5 in all. The best budgets (3, 1) lose 5.5 in
  // either order; uniform and the averaged table (2, 2) lose 6.5, in the oracle's order 5.5.
  const std::vector<std::string> row(grid.rows[4].begin(), grid.rows[4].begin() + 9);
  EXPECT_EQ(row, (std::vector<std::string>{"0.5", "57.895", "57.895", "57.895", "68.421", "57.895",
                                           "57.895", "68.421", "57.895"}));
  // Measured gaps stay with the file.
  data.scorers[0].gap = gaps[0];
  write_profile(path_, data);
  const ProfileData read = read_profile(path_);
  ASSERT_EQ(read.scorers[0].gap.size(), 9U);
  EXPECT_EQ(read.scorers[0].gap[4].uniform, gaps[0][4].uniform);
  EXPECT_EQ(profile_tables(read).size(), 2U);
  EXPECT_EQ(profile_tables(sample_profile()).size(), 1U);
  // For programs one table of shares: 9 ratios of 14 measures, then a layer of 3 ratios of 3.
  const Grid table = profile_data_grid({{"a.h5", read}, {"b.h5", sample_profile()}});
  ASSERT_EQ(table.rows.size(), 9U * 14 + 9 + 9);
  using Line = std::vector<std::string>;
  EXPECT_EQ(table.rows[9 * 14], (Line{"a.h5", "the model", "one", "0.5", "0", "kept mean", "0.5"}));
  EXPECT_EQ(table.rows.back(), (Line{"b.h5", "the model", "one", "0.9", "0", "kept most", "0.5"}));
  EXPECT_EQ(table.rows[14].at(3), "0.2");
  EXPECT_EQ(table.rows[14].at(4), "");  // of all layers
  EXPECT_EQ(table.rows[14].at(5), "J0 hull");

  ProfileData other = data;
  other.scorers[0].name = "another";
  EXPECT_THROW(measure_gaps(data, other, 0), InputError);
  other = data;
  other.scorers[0].scorer = "knorm";
  EXPECT_THROW(measure_gaps(data, other, 0), InputError);
  data.has_losses = false;
  EXPECT_THROW(measure_gaps(data, data, 0), InputError);
}

}  // namespace
}  // namespace kvbench
