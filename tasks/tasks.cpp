// The registry of tasks: every YAML file below tasks/ is one, named by its path.
#include <filesystem>
#include <map>
#include <memory>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/base/paths.h"
#include "tasks/own/own_task.h"
#include "tasks/ruler/ruler_task.h"
#include "tasks/task.h"

namespace kvbench {
namespace {

using Tasks = std::map<std::string, std::unique_ptr<Task>>;
using Loader = std::unique_ptr<Task> (*)(const std::string& name,
                                         const std::filesystem::path& file);

// The folder below tasks/ says which benchmark reads the YAML file.
const std::map<std::string, Loader>& benchmarks() {
  static const std::map<std::string, Loader> all = {
      {"own", load_own_task}, {"ruler", load_ruler_task}, {"ruler2", load_ruler_task}};
  return all;
}

Tasks load_tasks() {
  Tasks tasks;
  for (const auto& [benchmark, load] : benchmarks()) {
    const std::filesystem::path folder = project_root() / "tasks" / benchmark;
    if (!std::filesystem::is_directory(folder)) {
      throw_input_error("{}: missing, the tasks of {} are described there", folder.string(),
                        benchmark);
    }
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() != ".yaml") continue;
      const std::string name = benchmark + "/" + entry.path().stem().string();
      tasks.emplace(name, load(name, entry.path()));
    }
  }
  return tasks;
}

const Tasks& all_tasks() {
  static const Tasks tasks = load_tasks();
  return tasks;
}

}  // namespace

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const auto& [name, task] : all_tasks()) names.push_back(name);
  return names;
}

const Task& find_task(const std::string& name) {
  const auto it = all_tasks().find(name);
  if (it == all_tasks().end()) throw InputError(unknown_name("task", name, task_names()));
  return *it->second;
}

}  // namespace kvbench
