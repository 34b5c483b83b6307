// For tests: what should be thrown, and a folder of their own.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#include "harness/base/error.h"

namespace kvbench {

// The message of the InputError that `call` throws; "" when it throws none.
template <class Call>
std::string error_of(Call&& call) {
  try {
    call();
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

// A new folder that nothing else has, for as long as it exists: tests run beside one another.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(
      const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
    std::string name = (parent / "kvbench_test_XXXXXX").string();
    KVB_CHECK(mkdtemp(name.data()) != nullptr, "{}: cannot be created", name);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code nowhere_to_say_it;
    if (process_ == getpid()) std::filesystem::remove_all(path_, nowhere_to_say_it);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }
  std::filesystem::path write(const std::filesystem::path& name, std::string_view bytes) const {
    const auto file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << bytes;
    return file;
  }

 private:
  std::filesystem::path path_;
  pid_t process_ = getpid();  // a forked child that ends leaves its parent's folder alone
};

// One that lasts as long as the process.
inline const std::filesystem::path& process_folder() {
  static const TemporaryFolder folder;
  return folder.path();
}

// One that is the working directory while it exists.
class InTempDir {
 public:
  InTempDir() : before_(std::filesystem::current_path()) {
    std::filesystem::current_path(folder_.path());
  }
  InTempDir(const InTempDir&) = delete;
  InTempDir& operator=(const InTempDir&) = delete;
  ~InTempDir() { std::filesystem::current_path(before_); }

  static void write(const std::filesystem::path& file, const std::string& text) {
    if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }

 private:
  TemporaryFolder folder_;
  std::filesystem::path before_;
};

// Sets an environment variable while it exists.
class WithEnv {
 public:
  WithEnv(const char* name, const char* value) : name_(name) {
    const char* before = std::getenv(name);
    had_ = before != nullptr;
    if (had_) before_ = before;
    setenv(name, value, 1);
  }
  WithEnv(const WithEnv&) = delete;
  WithEnv& operator=(const WithEnv&) = delete;
  ~WithEnv() { had_ ? setenv(name_, before_.c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  bool had_ = false;
  std::string before_;
};

}  // namespace kvbench
