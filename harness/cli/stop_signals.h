// Ending in order: what Ctrl-C, kill and a batch system's notice ask of a long run.
#pragma once

#include <stdexcept>
#include <string>

namespace kvbench {

// The work was ended in order because `signal` asked for it: exit status 128 + signal, as a shell
// reports a program that the signal itself ended.
struct StoppedBySignal : std::runtime_error {
  StoppedBySignal(int asked_by, const std::string& what)
      : std::runtime_error(what), signal(asked_by) {}
  int signal;
};

// Whether SIGINT, SIGTERM or SIGUSR1 came since the first call, which takes them over: before it
// they end the process at once, and so does a second SIGINT.
bool stop_was_asked();

// Throws StoppedBySignal naming the signal that came, and `then`.
[[noreturn]] void throw_stopped(const std::string& then);

}  // namespace kvbench
