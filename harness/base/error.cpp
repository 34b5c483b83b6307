#include "harness/base/error.h"

#include <utility>

namespace kvbench {
namespace {

std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text;
}

}  // namespace

InputError::InputError(std::string message) : std::runtime_error(one_line(std::move(message))) {}

std::string current_error() {
  try {
    throw;
  } catch (const std::exception& e) {
    const std::string what = e.what(), line = what.substr(0, what.find('\n'));
    return line.empty() ? "an error that says nothing of itself" : line;
  } catch (...) {
    return "an error of an unknown type";
  }
}

void check_failed(const char* file, int line, const char* condition, const std::string& what) {
  throw std::logic_error(fmt::format("{}:{}: {} ({} does not hold)", file, line, what, condition));
}

}  // namespace kvbench
