#include "harness/profile/npy.h"

#include <gtest/gtest.h>

#include <fstream>

#include "harness/base/error.h"
#include "harness/base/test_util.h"

namespace kvbench {
namespace {

class NpyTest : public testing::Test {
 protected:
  void write(const std::string& header, const std::string& data) {
    std::ofstream out(path_, std::ios::binary);
    out << "\x93NUMPY" << '\1' << '\0' << static_cast<char>(header.size()) << '\0' << header
        << data;
  }
  std::string refusal() const {
    try {
      read_npy(path_);
    } catch (const InputError& e) {
      return e.what();
    }
    return "no error";
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "array.npy";
};

TEST_F(NpyTest, ReadsWhatItWrites) {
  const h5::Array<double> array = {{2, 1, 3}, {0, 0.25, 0.5, 1, 1e-9, 0.75}};
  write_npy(path_, array);
  const auto read = read_npy(path_);
  EXPECT_EQ(read.dims, array.dims);
  EXPECT_EQ(read.values, array.values);
  EXPECT_EQ(std::filesystem::file_size(path_) % 64, 6 * sizeof(double) % 64);
}

TEST_F(NpyTest, ReadsWhatNumpyWrites) {
  write("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }  \n",
        std::string("\0\0\x80\x3f\0\0\0\x40", 8));
  EXPECT_EQ(read_npy(path_).dims, (std::vector<int64_t>{2}));
  EXPECT_EQ(read_npy(path_).values, (std::vector<double>{1, 2}));
}

TEST_F(NpyTest, RefusesOthers) {
  EXPECT_NE(refusal().find("cannot be read"), std::string::npos);
  std::ofstream(path_) << "something else";
  EXPECT_NE(refusal().find("is not a NumPy file"), std::string::npos);
  write("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", "");
  EXPECT_NE(refusal().find("expected little-endian float32 or float64"), std::string::npos);
  write("{'descr': '<f8', 'fortran_order': True, 'shape': (2,), }", "");
  EXPECT_NE(refusal().find("C order"), std::string::npos);
  write("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", "12345678");
  EXPECT_NE(refusal().find("needs 16 bytes, found 8"), std::string::npos) << refusal();
  // Bytes that wrap to 0 in 64 bits; a number of more than 64 bits; digits are one number.
  for (const char* shape :
       {"2305843009213693952,", "4294967296, 4294967296", "99999999999999999999,"}) {
    write(fmt::format("{{'descr': '<f8', 'fortran_order': False, 'shape': ({}), }}", shape), "");
    EXPECT_NE(refusal().find("impossible shape ("), std::string::npos) << refusal();
  }
  write("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 10000000001), }", "");
  EXPECT_EQ(read_npy(path_).dims, (std::vector<int64_t>{0, 10000000001}));
  std::ofstream out(path_, std::ios::binary);
  out << "\x93NUMPY" << '\2' << std::string(1, '\0') << std::string("\0\0\x10\0", 4)
      << "{'descr': '<f8', 'fortran_order': False, 'shape': (" << std::string(1 << 20, ' ');
  out.close();
  EXPECT_NE(refusal().find("header is longer than"), std::string::npos) << refusal();
}

}  // namespace
}  // namespace kvbench
