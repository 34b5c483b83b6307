#include "harness/cli/stop_signals.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <string_view>

namespace kvbench {
namespace {

volatile std::sig_atomic_t came = 0;

void handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

extern "C" void note_signal(int signal) {
  came = signal;
  if (signal != SIGINT) return;  // a batch system may send the same one to us and to our parent
  handle(SIGINT, SIG_DFL);
  constexpr std::string_view kText =
      "\nkvbench: ends after the context in work; Ctrl-C once more ends it at once\n";
  (void)!write(STDERR_FILENO, kText.data(), kText.size());
}

}  // namespace

bool stop_was_asked() {
  static const bool taken_over = [] {
    for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) handle(signal, note_signal);
    return true;
  }();
  return taken_over && came != 0;
}

void throw_stopped(const std::string& then) {
  const int signal = came;
  throw StoppedBySignal(signal, fmt::format("ended by SIG{}: {}", sigabbrev_np(signal), then));
}

}  // namespace kvbench
