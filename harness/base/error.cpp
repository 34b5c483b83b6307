#include "harness/base/error.h"

namespace kvbench {

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
