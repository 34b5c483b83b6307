// The verbs of the command line. Each add_* declares its options and what runs it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "harness/base/progress.h"

namespace kvbench {

// The help of options that resolve_model() reads.
inline constexpr const char* kWhichModel =
    "a name of configs/models, else a folder, else ORG/NAME of the Hugging Face Hub";

void add_run(CLI::App& app);
void add_merge(CLI::App& app);
void add_report(CLI::App& app);
void add_profile(CLI::App& app);
void add_train_gate(CLI::App& app);
void add_inspect(CLI::App& app);
void add_explain(CLI::App& app);
void add_generate_task(CLI::App& app);
void add_grade(CLI::App& app);
void add_list(CLI::App& app);
void add_model(CLI::App& app);
void add_data(CLI::App& app);
void add_check_policy(CLI::App& app);
void add_measure(CLI::App& app);

// Says on stderr what `device: auto` took, if that is the word.
void print_device_note(const std::string& device);
// The same before the first work that starts, when nothing can be wrong with the request any more.
StartProgress after_device_note(const std::string& device, const StartProgress& start);

}  // namespace kvbench
