#include "harness/cli/stop_signals.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <string_view>

namespace kvbench {
namespace {

constexpr int kStopSignals[] = {SIGINT, SIGTERM, SIGUSR1};

volatile std::sig_atomic_t came = 0;

void set_all(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  for (const int signal : kStopSignals) sigaction(signal, &action, nullptr);
}

extern "C" void note_signal(int signal) {
  came = signal;
  set_all(SIG_DFL);
  constexpr std::string_view kText =
      "\nkvbench: ending in order after the context in work; once more ends at once\n";
  (void)!write(STDERR_FILENO, kText.data(), kText.size());
}

}  // namespace

bool stop_was_asked() {
  static const bool taken_over = [] {
    set_all(note_signal);
    return true;
  }();
  return taken_over && came != 0;
}

void throw_stopped(const std::string& then) {
  const int signal = came;
  throw StoppedBySignal(signal, fmt::format("ended by SIG{}: {}", sigabbrev_np(signal), then));
}

}  // namespace kvbench
