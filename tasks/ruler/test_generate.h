// For tests of generators: outside data in a folder of the test's own, and a tokenizer of a kind.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "tasks/ruler/test_files.h"

namespace kvbench::ruler {

// About what a real tokenizer makes of such texts: a token per eight letters of a word, one per
// digit or mark.
inline int64_t count_tokens(std::string_view text) {
  int64_t tokens = 0;
  int64_t letters = 0;
  for (const char c : text) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      if (letters++ % 8 == 0) ++tokens;
    } else {
      letters = 0;
      if (c != ' ') ++tokens;
    }
  }
  return tokens;
}

// While such a test runs, deps_dir() is a folder of its own.
class GeneratorTest : public testing::Test {
 protected:
  GeneratorTest() {
    const char* deps = std::getenv("KVBENCH_DEPS");
    if (deps != nullptr) before_ = deps;
    setenv("KVBENCH_DEPS", folder_.path().c_str(), 1);
  }
  ~GeneratorTest() override {
    if (before_) {
      setenv("KVBENCH_DEPS", before_->c_str(), 1);
    } else {
      unsetenv("KVBENCH_DEPS");
    }
  }

  // A file of the outside data.
  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    return folder_.write("data/" + name, bytes);
  }

  TemporaryFolder folder_;

 private:
  std::optional<std::string> before_;
};

}  // namespace kvbench::ruler
