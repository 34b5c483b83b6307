#include "harness/engine/peak_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "harness/base/test_util.h"

namespace kvbench {
namespace {

constexpr int64_t kBytes = 64 << 20;

// `kBytes` of anonymous memory, or of a file, touched for as long as it lives.
class Touched {
 public:
  explicit Touched(int file) {
    const int flags = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    data_ = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, flags, file, 0);
    EXPECT_NE(data_, MAP_FAILED);
    std::memset(data_, 1, kBytes);
  }
  ~Touched() { munmap(data_, kBytes); }
  Touched(const Touched&) = delete;

 private:
  void* data_;
};

TEST(PeakMemory, IsThatSinceTheMoment) {
  { const Touched before(-1); }
  const PeakMemory peak(at::kCPU);
  ASSERT_GT(peak.bytes(), 0);
  const int64_t start = peak.own_bytes();
  EXPECT_GT(start, 0);
  { const Touched meanwhile(-1); }
  EXPECT_GE(peak.own_bytes() - start, kBytes / 10 * 9);
}

TEST(PeakMemory, FilesAreNotOurOwn) {
  const int file = open((process_folder() / "mapped").c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_GE(file, 0);
  ASSERT_EQ(ftruncate(file, kBytes), 0);
  const PeakMemory peak(at::kCPU);
  const int64_t all = peak.bytes(), own = peak.own_bytes();
  const Touched mapped(file);
  EXPECT_GE(peak.bytes() - all, kBytes / 10 * 9);
  EXPECT_LE(peak.own_bytes() - own, kBytes / 10);
  close(file);
}

}  // namespace
}  // namespace kvbench
