#include "harness/base/error.h"

namespace kvbench {

void check_failed(const char* file, int line, const char* condition, const std::string& what) {
  throw std::logic_error(fmt::format("{}:{}: {} ({} does not hold)", file, line, what, condition));
}

}  // namespace kvbench
