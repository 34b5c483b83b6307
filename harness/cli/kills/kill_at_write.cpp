// Preloaded into a kvbench of kill_test.cpp: ends it with SIGKILL at its write number
// KVBENCH_KILL_AT_WRITE, from 0. HDF5 writes through pwrite alone.
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

namespace {

ssize_t write_at(int fd, const void* bytes, size_t count, off_t offset) {
  static const long at = [] {
    const char* asked = std::getenv("KVBENCH_KILL_AT_WRITE");
    return asked == nullptr ? -1 : std::atol(asked);
  }();
  static std::atomic<long> calls = 0;
  if (calls++ == at) raise(SIGKILL);
  return syscall(SYS_pwrite64, fd, bytes, count, offset);
}

}  // namespace

extern "C" ssize_t pwrite64(int fd, const void* bytes, size_t count, off64_t offset) {
  return write_at(fd, bytes, count, offset);
}
extern "C" ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  return write_at(fd, bytes, count, offset);
}
