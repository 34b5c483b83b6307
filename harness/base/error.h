// How kvbench reports failure. Libraries throw; only harness/cli prints and exits.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace kvbench {

// The request was wrong (a file, a setting, a name): one clear line for the user, exit status 2.
// Texts out of files are in it: their line ends and other control characters become blanks.
class InputError : public std::runtime_error {
 public:
  explicit InputError(std::string message);
};

template <class... Args>
[[noreturn]] void throw_input_error(fmt::format_string<Args...> format, Args&&... args) {
  throw InputError(fmt::format(format, std::forward<Args>(args)...));
}

// First line of what the exception being handled says, whatever its type; never empty. LibTorch
// appends a backtrace to its own. Only inside a catch block.
std::string current_error();

[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& what);

}  // namespace kvbench

// An invariant of our own code, kept in release builds too: throws std::logic_error naming the
// place. The remaining arguments are a fmt format string and its values.
#define KVB_CHECK(condition, ...)                                                          \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      ::kvbench::check_failed(__FILE__, __LINE__, #condition, ::fmt::format(__VA_ARGS__)); \
    }                                                                                      \
  } while (false)
