#include "harness/base/error.h"

namespace kvbench {

std::string first_line(const std::exception& error) {
  const std::string what = error.what();
  return what.substr(0, what.find('\n'));
}

void check_failed(const char* file, int line, const char* condition, const std::string& what) {
  throw std::logic_error(fmt::format("{}:{}: {} ({} does not hold)", file, line, what, condition));
}

}  // namespace kvbench
