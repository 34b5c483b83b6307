#include "harness/cli/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <memory>

namespace kvbench {

namespace {

// "1:05", "2:03:09"
std::string duration_text(double seconds) {
  const auto s = static_cast<int64_t>(std::llround(seconds));
  return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60)
                  : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

}  // namespace

ProgressBar::ProgressBar(int64_t total, int64_t done)
    : total_(total),
      done_(done),
      done_before_(done),
      terminal_(::isatty(STDERR_FILENO) == 1),
      start_(Clock::now()),
      shown_(start_) {}

ProgressBar::~ProgressBar() {
  if (terminal_) std::fputs("\r\033[K", stderr);
}

void ProgressBar::advance(int64_t units, const std::string& what) {
  const std::lock_guard lock(mutex_);
  done_ += units;
  const auto now = Clock::now();
  const auto pause = std::chrono::seconds(terminal_ ? 0 : 15);
  if (now - shown_ < pause && done_ < total_) return;
  shown_ = now;
  show(what);
}

void ProgressBar::show(const std::string& what) const {
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const double per_unit = elapsed / static_cast<double>(std::max<int64_t>(1, done_ - done_before_));
  const std::string left = duration_text(per_unit * static_cast<double>(total_ - done_));
  const auto percent = total_ > 0 ? 100 * done_ / total_ : 100;
  constexpr int64_t kWidth = 30;
  const std::string bar(static_cast<size_t>(total_ > 0 ? kWidth * done_ / total_ : kWidth), '#');
  const std::string line = fmt::format("[{:<{}}] {:3}% {}/{} {} elapsed, {} left  {}", bar, kWidth,
                                       percent, done_, total_, duration_text(elapsed), left, what);
  fmt::print(stderr, "{}{}{}", terminal_ ? "\r\033[K" : "", line, terminal_ ? "" : "\n");
  std::fflush(stderr);
}

StartProgress show_progress() {
  return [](int64_t total, int64_t done) -> Advance {
    return [bar = std::make_shared<ProgressBar>(total, done)](
               int64_t units, const std::string& what) { bar->advance(units, what); };
  };
}

}  // namespace kvbench
