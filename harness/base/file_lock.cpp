#include "harness/base/file_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include "harness/base/error.h"

namespace kvbench {
namespace {

std::string holder(const std::filesystem::path& path) {
  std::string text;
  std::getline(std::ifstream(path), text);
  return text.empty() ? "" : " (" + text + ")";
}

// The holder removes the file before it lets go; a lock on a removed file is worth nothing.
bool still_there(int descriptor, const std::filesystem::path& path) {
  struct stat held {
  }, named{};
  return fstat(descriptor, &held) == 0 && stat(path.c_str(), &named) == 0 &&
         held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& file, const std::string& or_else)
    : path_(file.string() + ".lock") {
  for (;;) {
    descriptor_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) {
      throw_input_error("{}: cannot be written: {}", path_.string(), std::strerror(errno));
    }
    struct flock range {};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    if (fcntl(descriptor_, F_OFD_SETLK, &range) != 0) {
      const int reason = errno;
      close(std::exchange(descriptor_, -1));
      if (reason != EAGAIN && reason != EACCES) {
        throw_input_error("{}: cannot be locked: {}", path_.string(), std::strerror(reason));
      }
      throw_input_error("{}: another run{} is writing this file; wait for it{}", file.string(),
                        holder(path_), or_else);
    }
    if (still_there(descriptor_, path_)) break;
    close(descriptor_);
  }
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  const std::string text = fmt::format("process {} on {}\n", getpid(), host);
  // Only helps a message, so a failure is of no interest.
  if (ftruncate(descriptor_, 0) == 0) (void)!pwrite(descriptor_, text.data(), text.size(), 0);
}

FileLock::FileLock(FileLock&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  if (this != &other) {
    release();
    path_ = std::move(other.path_);
    descriptor_ = std::exchange(other.descriptor_, -1);
  }
  return *this;
}

FileLock::~FileLock() { release(); }

void FileLock::release() {
  if (descriptor_ < 0) return;
  unlink(path_.c_str());
  close(std::exchange(descriptor_, -1));
}

}  // namespace kvbench
