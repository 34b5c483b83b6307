#include "kernels/common/team.h"

#include <exception>
#include <utility>

namespace kvbench {

TeamProgram*& TeamProgram::recording() {
  thread_local TeamProgram* program = nullptr;
  return program;
}

TeamProgram::TeamProgram(const std::function<void()>& pass) {
  struct Recording {
    explicit Recording(TeamProgram* program) : before(std::exchange(recording(), program)) {}
    ~Recording() { recording() = before; }
    TeamProgram* before;
  } const now(this);
  pass();
}

void TeamProgram::run(int n_threads) const {
  std::exception_ptr thrown;
#pragma omp parallel num_threads(n_threads)
  for (const Work& work : works_) {
    if (!work.by_one) {
      work.run();
      continue;
    }
#pragma omp master
    try {
      work.run();
    } catch (...) {
      if (!thrown) thrown = std::current_exception();
    }
#pragma omp barrier
  }
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace kvbench
