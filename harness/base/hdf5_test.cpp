#include "harness/base/hdf5.h"

#include <gtest/gtest.h>

#include <fstream>
#include <stdexcept>

#include "harness/base/test_util.h"

namespace kvbench {
namespace {

template <class F>
std::string failure_of(F&& work) {
  try {
    work();
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

TEST(Hdf5, ArraysComeBack) {
  const InTempDir folder;
  const std::string path = "a.h5";
  const std::vector<int32_t> ints = {1, -2, 3, 4, 5, 6};
  const std::vector<float> floats = {0.5f, -1.25f};
  {
    const h5::File file(path, h5::Mode::kCreate);
    h5::write_array<int32_t>(file, "group/ints", {2, 3}, ints);
    h5::write_array<float>(file, "floats", {2}, floats);
    h5::write_array<uint8_t>(file, "none", {0}, {});
    h5::write_array<int64_t>(file, "one", {}, std::vector<int64_t>{7});
  }
  const h5::File file(path, h5::Mode::kRead);
  const auto read = h5::read_array<int32_t>(file, "group/ints");
  EXPECT_EQ(read.dims, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(read.values, ints);
  EXPECT_EQ(h5::read_array<int64_t>(file, "group/ints").values[1], -2);
  EXPECT_EQ(h5::read_array<double>(file, "floats").values[1], -1.25);
  EXPECT_EQ(h5::read_array<float>(file, "group/ints").values[2], 3.0f);
  EXPECT_TRUE(h5::read_array<uint8_t>(file, "none").values.empty());
  EXPECT_TRUE(h5::read_array<int64_t>(file, "one").dims.empty());
  EXPECT_EQ(h5::list(file), (std::vector<std::string>{"floats", "group", "none", "one"}));
  EXPECT_EQ(h5::list(file, "group"), std::vector<std::string>{"ints"});
  EXPECT_TRUE(h5::exists(file, "group/ints"));
  EXPECT_FALSE(h5::exists(file, "other/ints"));
  EXPECT_FALSE(h5::exists(file, "group/int"));
}

TEST(Hdf5, WhatCannotBeKeptIsRefused) {
  const InTempDir folder;
  const h5::File file("a.h5", h5::Mode::kCreate);
  h5::write_array<int64_t>(file, "wide", {1}, std::vector<int64_t>{1});
  h5::write_array<double>(file, "real", {1}, std::vector<double>{1.5});
  EXPECT_NE(failure_of([&] { h5::read_array<int32_t>(file, "wide"); }).find("at most 4 bytes"),
            std::string::npos);
  EXPECT_NE(failure_of([&] { h5::read_array<int64_t>(file, "real"); }).find("expected integers"),
            std::string::npos);
  EXPECT_NE(failure_of([&] {
              h5::write_array<double>(file, "short", {2}, std::vector<double>{1.0});
            }).find("do not fill"),
            std::string::npos);
}

// Files whose shapes claim what nobody wrote; nothing of that size may be allocated.
TEST(Hdf5, ShapesAreBoundedByWhatTheFileHolds) {
  const InTempDir folder;
  const h5::File file("a.h5", h5::Mode::kCreate);
  const auto claim = [&](const std::string& name, std::vector<hsize_t> sizes) {
    const h5::Id space(H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr));
    const h5::Id storage(H5Pcreate(H5P_DATASET_CREATE));
    std::vector<hsize_t> chunk(sizes.size(), 16);
    H5Pset_chunk(storage.get(), static_cast<int>(chunk.size()), chunk.data());
    const h5::Id made(H5Dcreate2(file.id(), name.c_str(), H5T_NATIVE_DOUBLE, space.get(),
                                 H5P_DEFAULT, storage.get(), H5P_DEFAULT));
    ASSERT_GE(made.get(), 0);
  };
  claim("many", {hsize_t{1} << 40});
  claim("wraps", {hsize_t{1} << 32, hsize_t{1} << 32});
  const auto failure = [&](const std::string& name) {
    return failure_of([&] { h5::read_array<double>(file, name); });
  };
  EXPECT_EQ(failure("many"),
            "a.h5: many: its shape claims 1099511627776 values, the file holds 0 bytes of them");
  EXPECT_EQ(failure("wraps"), "a.h5: wraps: impossible shape [4294967296, 4294967296]");
  // Values that deflate shrinks most are still read.
  const std::vector<double> zeros(1 << 20);
  h5::write_array<double>(file, "zeros", {1 << 20}, zeros);
  EXPECT_EQ(h5::read_array<double>(file, "zeros").values, zeros);
}

TEST(Hdf5, AttributesComeBack) {
  const InTempDir folder;
  const h5::File file("a.h5", h5::Mode::kCreate);
  const std::string longer_than_a_header(200000, 'y');
  h5::write_attribute(file, "/", "text", longer_than_a_header);
  h5::write_attribute(file, "/", "empty", std::string());
  h5::write_attribute(file, "/", "count", int64_t{1} << 40);
  h5::write_attribute(file, "/", "share", 0.25);
  h5::write_attribute(file, "/", "share", 0.75);
  EXPECT_EQ(h5::read_attribute<std::string>(file, "/", "text"), longer_than_a_header);
  EXPECT_EQ(h5::read_attribute<std::string>(file, "/", "empty"), "");
  EXPECT_EQ(h5::read_attribute<int64_t>(file, "/", "count"), int64_t{1} << 40);
  EXPECT_EQ(h5::read_attribute<double>(file, "/", "share"), 0.75);
  EXPECT_FALSE(h5::has_attribute(file, "/", "other"));
}

TEST(Hdf5, FailuresNameFileObjectAndReason) {
  const InTempDir folder;
  const std::string path = "a.h5";
  EXPECT_EQ(failure_of([&] { h5::File(path, h5::Mode::kRead); }),
            path + ": No such file or directory");
  std::ofstream(path) << "text";
  EXPECT_EQ(failure_of([&] { h5::File(path, h5::Mode::kRead); }),
            path + ": file signature not found");
  const h5::File file("b.h5", h5::Mode::kCreate);
  const std::string text = failure_of([&] { h5::read_array<float>(file, "scores"); });
  EXPECT_NE(text.find("b.h5: scores: "), std::string::npos) << text;
}

}  // namespace
}  // namespace kvbench
