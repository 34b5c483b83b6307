// kvbench VERB ...: the only place that prints errors and decides the exit status.
// 0 done, 1 the work failed, 2 the request was wrong (one line on stderr), 128 + N ended in order
// by signal N.
#include <fmt/format.h>

#include <memory>
#include <mutex>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/cli/memory.h"
#include "harness/cli/stop_signals.h"
#include "harness/cli/verbs.h"
#include "harness/model/device.h"

namespace kvbench {
namespace {

constexpr int kFailed = 1, kWrongRequest = 2, kStopped = 128;

// CLI11 says "extras" for a misspelt verb; we know what was meant.
std::string command_line_error(const CLI::App& app, const CLI::ParseError& e, int argc,
                               char** argv) {
  std::vector<std::string> verbs;
  for (const auto* verb : app.get_subcommands({})) verbs.push_back(verb->get_name());
  if (argc > 1 && argv[1][0] != '-' && app.get_subcommands().empty()) {
    return unknown_name("verb", argv[1], verbs);
  }
  std::string message = e.what();
  for (auto& c : message) {
    if (c == '\n') c = ' ';
  }
  return message + "; see --help";
}

int run(int argc, char** argv) {
  keep_memory_small();
  CLI::App app("Which KV-cache eviction policy, at which budget, and what it costs.", "kvbench");
  app.require_subcommand(1);
  add_run(app);
  add_merge(app);
  add_report(app);
  add_profile(app);
  add_train_gate(app);
  add_inspect(app);
  add_explain(app);
  add_generate_task(app);
  add_grade(app);
  add_list(app);
  add_model(app);
  add_data(app);
  add_check_policy(app);
  add_measure(app);
  try {
    app.parse(argc, argv);  // runs the verb
    return 0;
  } catch (const CLI::CallForHelp& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    fmt::print(stderr, "kvbench: {}\n", command_line_error(app, e, argc, argv));
    return kWrongRequest;
  } catch (const InputError& e) {
    fmt::print(stderr, "kvbench: {}\n", e.what());
    return kWrongRequest;
  } catch (const StoppedBySignal& e) {
    fmt::print(stderr, "kvbench: {}\n", e.what());
    return kStopped + e.signal;
  } catch (const std::exception& e) {
    fmt::print(stderr, "kvbench: failed: {}\n", e.what());
    return kFailed;
  }
}

}  // namespace

void print_device_note(const std::string& device) {
  if (const std::string note = device_note(device); !note.empty()) {
    fmt::print(stderr, "kvbench: {}\n", note);
  }
}

StartProgress after_device_note(const std::string& device, const StartProgress& start) {
  return [device, start, once = std::make_shared<std::once_flag>()](int64_t total, int64_t done) {
    std::call_once(*once, [&] { print_device_note(device); });
    return start(total, done);
  };
}

}  // namespace kvbench

int main(int argc, char** argv) { return kvbench::run(argc, argv); }
