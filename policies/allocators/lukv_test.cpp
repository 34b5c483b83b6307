// Profiles made here: rounding worked by hand, and files that must be refused.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "harness/base/hdf5.h"
#include "harness/base/test_util.h"
#include "policies/allocator.h"
#include "policies/allocators/test_allocator.h"

namespace kvbench {
namespace {

using Counts = std::vector<int64_t>;

class LuKvTest : public testing::Test {
 protected:
  // A file whose dataset `table` has these dimensions; `prune(row, head)` in every layer.
  template <class F>
  void write(const std::vector<int64_t>& dims, F&& prune) {
    std::vector<float> values;
    int64_t size = 1;
    for (const auto dim : dims) size *= dim;
    const int64_t row_size = size / dims[0];
    for (int64_t i = 0; i < size; ++i) {
      values.push_back(static_cast<float>(prune(i / row_size, i % dims.back())));
    }
    const h5::File file(path_, h5::Mode::kCreate);
    h5::write_array<float>(file, "table", dims, values);
  }

  std::unique_ptr<Allocator> lukv(std::vector<Params::Given> given = {}) const {
    given.push_back({"profile", path_.string()});
    return make_allocator("lukv", std::move(given));
  }

  std::string refusal() const {
    try {
      lukv()->validate({2, 3});
    } catch (const InputError& e) {
      return e.what();
    }
    return "no error";
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "profile.h5";
};

TEST_F(LuKvTest, LargestFractionsGetTheRest) {
  // T = 10: ideals 2.5, 2.5 and 1.25 sum to 6.25, so 6 are kept: floors 2, 2, 1 and one more.
  write({99, 2, 3}, [](int64_t, int64_t h) { return h < 2 ? 0.75 : 0.875; });
  EXPECT_EQ(lukv()->allocate(budget_of(3, 10, 0.8, 1, 2)).on_host(), (Counts{3, 2, 1}));
}

TEST_F(LuKvTest, TheSumIsRoundedHalfToEven) {
  write({99, 2, 1}, [](int64_t, int64_t) { return 0.75; });
  EXPECT_EQ(lukv()->allocate(budget_of(1, 10, 0.8, 0, 2)).on_host(), (Counts{2}));  // 2.5
  EXPECT_EQ(lukv()->allocate(budget_of(1, 14, 0.8, 0, 2)).on_host(), (Counts{4}));  // 3.5
}

TEST_F(LuKvTest, EveryHeadKeepsOneAndNoneMoreThanAll) {
  write({99, 2, 3}, [](int64_t, int64_t h) { return h == 0 ? 0.0 : 1.0; });
  EXPECT_EQ(lukv()->allocate(budget_of(3, 10, 0.8, 0, 2)).on_host(), (Counts{10, 1, 1}));
}

TEST_F(LuKvTest, RowsAreWholePercents) {
  write({99, 1, 1}, [](int64_t row, int64_t) { return static_cast<double>(row + 1) / 100; });
  const auto count = [&](double ratio) {
    return lukv()->allocate(budget_of(1, 100, ratio)).on_host()[0];
  };
  EXPECT_EQ(count(0.5), 50);
  EXPECT_EQ(count(0.29), 71);
  EXPECT_EQ(count(0.125), 88);  // 12.5 rounds to 12
  EXPECT_EQ(count(0.001), 99);
  EXPECT_EQ(count(0.999), 1);
}

TEST_F(LuKvTest, ProtectRaisesSmallHeadsAtTheLargestOnesCost) {
  write({99, 2, 3}, [](int64_t, int64_t h) { return h == 0 ? 0.25 : 0.875; });
  EXPECT_EQ(lukv()->allocate(budget_of(3, 16, 0.8, 0, 2)).on_host(), (Counts{12, 2, 2}));
  EXPECT_EQ(lukv({{"min_keep", "protect"}, {"sink", "2"}, {"window", "3"}})
                ->allocate(budget_of(3, 16, 0.8, 0, 2))
                .on_host(),
            (Counts{6, 5, 5}));
}

TEST_F(LuKvTest, RefusesWhatIsNoProfileOfTheModel) {
  const auto even = [](int64_t, int64_t) { return 0.5; };
  EXPECT_NE(refusal().find(path_.string()), std::string::npos);  // no such file
  std::ofstream(path_) << "no HDF5";
  EXPECT_NE(refusal().find(path_.string()), std::string::npos);
  write({99, 2, 4}, even);
  EXPECT_NE(refusal().find("table: expected shape [99, 2, 3] for this model, found [99, 2, 4]"),
            std::string::npos)
      << refusal();
  write({98, 2, 3}, even);
  EXPECT_NE(refusal().find("expected shape [99, layers, KV heads], found [98, 2, 3]"),
            std::string::npos)
      << refusal();
  write({99, 6}, even);
  EXPECT_NE(refusal().find("found [99, 6]"), std::string::npos) << refusal();
  write({99, 2, 3}, [](int64_t, int64_t) { return NAN; });
  EXPECT_NE(refusal().find("prune ratios"), std::string::npos) << refusal();
  write({99, 2, 3}, [](int64_t, int64_t) { return 50.0; });
  EXPECT_NE(refusal().find("found 50"), std::string::npos) << refusal();
  write({99, 2, 3}, even);
  EXPECT_EQ(refusal(), "no error");
  EXPECT_THROW(lukv({{"table", "average"}}), InputError);
}

TEST(LuKv, WithoutAProfileItIsRefusedAtUseOnly) {
  const auto bare = make_allocator("lukv");
  EXPECT_THROW(bare->validate({2, 3}), InputError);
  EXPECT_THROW(bare->allocate(budget_of(3, 10, 0.8)), InputError);
}

}  // namespace
}  // namespace kvbench
