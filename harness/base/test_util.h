// For tests: what should be thrown, and a folder of their own.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

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

// A folder of its own that is the working directory while it exists.
class InTempDir {
 public:
  InTempDir() : before_(std::filesystem::current_path()) {
    std::string name = (std::filesystem::temp_directory_path() / "kvbench_test_XXXXXX").string();
    KVB_CHECK(mkdtemp(name.data()) != nullptr, "no temporary folder");
    path_ = name;
    std::filesystem::current_path(path_);
  }
  InTempDir(const InTempDir&) = delete;
  InTempDir& operator=(const InTempDir&) = delete;
  ~InTempDir() {
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(path_);
  }

  static void write(const std::filesystem::path& file, const std::string& text) {
    if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }

 private:
  std::filesystem::path before_, path_;
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
