// `measure`, for `run` alone: one isolated measurement in a process of its own. The request comes
// on stdin, the answer goes to stdout (sweep/measurement.h).
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>

#include <iostream>
#include <iterator>

#include "harness/cli/verbs.h"
#include "harness/sweep/measurement.h"

namespace kvbench {

void add_measure(CLI::App& app) {
  auto* verb = app.add_subcommand("measure", "makes one measurement of a run");
  verb->group("");  // not for people
  verb->callback([] {
    // A run that is killed leaves nothing behind that takes the machine's time.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const std::string asked{std::istreambuf_iterator<char>(std::cin), {}};
    fmt::print("{}\n", answer_measurement(asked));
  });
}

}  // namespace kvbench
