#include "harness/base/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "harness/base/error.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags) : fd_(open(path.c_str(), flags)) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

bool can_open(const fs::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  return descriptor >= 0 && close(descriptor) == 0;
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : ".";
}

// Tried rather than asked: permissions alone do not tell, least of all to root.
void try_folder(const fs::path& path) {
  const fs::path folder = folder_of(path);
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error && !fs::is_directory(folder)) error = std::make_error_code(std::errc::not_a_directory);
  if (error) {
    throw_input_error("{}: its folder {} cannot be created: {}", path.string(), folder.string(),
                      error.message());
  }
  const std::string probe = path.string() + ".probe";
  if (!can_open(probe, O_RDWR | O_CREAT)) {
    throw_input_error("{}: its folder {} cannot be written: {}", path.string(), folder.string(),
                      std::strerror(errno));
  }
  unlink(probe.c_str());
}

// The nearest folder that is there decides.
void ask_folder(const fs::path& path) {
  fs::path folder = fs::absolute(folder_of(path));
  std::error_code ignored;
  while (!fs::exists(folder, ignored) && folder.has_relative_path()) folder = folder.parent_path();
  if (!fs::is_directory(folder, ignored)) {
    throw_input_error("{}: its folder cannot be created: {} is a file", path.string(),
                      folder.string());
  }
  if (access(folder.c_str(), W_OK) != 0) {
    throw_input_error("{}: its folder {} cannot be written: {}", path.string(), folder.string(),
                      std::strerror(errno));
  }
}

void check_existing(const fs::path& path) {
  if (fs::is_directory(path)) throw_input_error("{}: is a folder, expected a file", path.string());
  if (!fs::is_regular_file(path)) throw_input_error("{}: is not a regular file", path.string());
  if (!can_open(path, O_RDWR)) {
    throw_input_error("{}: cannot be read and written: {}", path.string(), std::strerror(errno));
  }
  char signature[8] = {};
  std::ifstream(path, std::ios::binary).read(signature, sizeof(signature));
  if (std::memcmp(signature, "\x89HDF\r\n\x1a\n", sizeof(signature)) != 0) {
    throw_input_error("{}: exists and is not an HDF5 file; choose another --output", path.string());
  }
}

[[noreturn]] void fail(const fs::path& path, const char* what, int reason) {
  throw std::runtime_error(fmt::format("{}: {}: {}", path.string(), what, std::strerror(reason)));
}

}  // namespace

std::string read_file(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) {
    throw_input_error("{}: cannot be read: {}", file.string(),
                      fs::exists(file, error) ? "not a regular file" : "there is no such file");
  }
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (in.bad() || !in.is_open()) throw_input_error("{}: cannot be read", file.string());
  return text;
}

void check_writable(const fs::path& path, Probe probe) {
  if (path.filename().empty()) throw_input_error("{}: expected a file name", path.string());
  probe == Probe::kTry ? try_folder(path) : ask_folder(path);
  if (fs::exists(path)) check_existing(path);
}

void settle_file(const fs::path& path) {
  const Descriptor file(path, O_RDWR);
  if (file.get() < 0) fail(path, "cannot be opened", errno);
  const auto size = static_cast<off_t>(fs::file_size(path));
  if (fallocate(file.get(), 0, 0, size) != 0 && (errno == ENOSPC || errno == EDQUOT)) {
    fail(path,
         fmt::format("{:.1f} MiB cannot be reserved", static_cast<double>(size) / 1048576).c_str(),
         errno);
  }
  if (fsync(file.get()) != 0) fail(path, "cannot be written", errno);
}

void replace_file(const fs::path& from, const fs::path& to) {
  fs::rename(from, to);
  const auto folder = to.parent_path();
  const Descriptor directory(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
  // Not every file system can; the rename itself has happened.
  if (directory.get() >= 0) (void)!fsync(directory.get());
}

void write_cache_file(const std::filesystem::path& file, const std::string& content) {
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  std::string fresh = file.string() + ".XXXXXX";
  const int descriptor = ::mkstemp(fresh.data());
  if (descriptor < 0) return;
  const bool whole =
      ::write(descriptor, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  ::close(descriptor);
  if (whole) std::filesystem::rename(fresh, file, error);
  if (!whole || error) std::filesystem::remove(fresh, error);
}

}  // namespace kvbench
