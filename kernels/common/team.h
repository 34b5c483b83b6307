// How operators of the CPU share their work among threads, and how a list of them is done again and
// again by one team: what a CUDA graph is on a GPU.
#pragma once

#include <functional>
#include <vector>

namespace kvbench {

// What the operators of a pass do, in their order, recorded once. Operators that are called while
// it records do nothing but leave their work here; pointers must stay right as long as it is run.
class TeamProgram {
 public:
  // Records what `pass` calls on this thread.
  explicit TeamProgram(const std::function<void()>& pass);

  // All of it, in one parallel region of n_threads. Throws what by_one_thread()'s work threw first.
  void run(int n_threads) const;

 private:
  template <class F>
  friend void on_team(bool is_large, F&& work);
  template <class F>
  friend void by_one_thread(F&& work);

  static TeamProgram*& recording();  // of this thread, or nullptr

  struct Work {
    std::function<void()> run;
    bool by_one;
  };
  std::vector<Work> works_;
};

// `work` is called by every thread of a team, and shares with `#pragma omp for`, `single` and
// `barrier`; it ends where all have met (as `omp for` does without `nowait`). Now, by one thread
// where it is not large, or whenever the program runs that records. It is copied then.
template <class F>
void on_team(bool is_large, F&& work) {
  if (TeamProgram* program = TeamProgram::recording()) {
    program->works_.push_back({std::forward<F>(work), /*by_one=*/false});
    return;
  }
#pragma omp parallel if (is_large)
  work();
}

// The same of work that knows nothing of teams: the thread that called does it.
template <class F>
void by_one_thread(F&& work) {
  if (TeamProgram* program = TeamProgram::recording()) {
    program->works_.push_back({std::forward<F>(work), /*by_one=*/true});
    return;
  }
  work();
}

}  // namespace kvbench
