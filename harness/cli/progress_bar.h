// Progress of a sweep on stderr: a bar with the expected end on a terminal, a line now and then
// elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

#include "harness/base/progress.h"

namespace kvbench {

class ProgressBar {
 public:
  // `done` of `total` units are there already; they do not count for the speed.
  ProgressBar(int64_t total, int64_t done);
  ~ProgressBar();

  // Any thread may call it.
  void advance(int64_t units, const std::string& what);

 private:
  void show(const std::string& what) const;

  using Clock = std::chrono::steady_clock;
  std::mutex mutex_;
  int64_t total_, done_, done_before_;
  bool terminal_;
  Clock::time_point start_, shown_;
};

// A bar for whatever work starts.
StartProgress show_progress();

}  // namespace kvbench
