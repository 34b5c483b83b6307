// The registry of tasks: every YAML file below tasks/ is one, named by its path.
#include <filesystem>
#include <map>
#include <memory>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/base/paths.h"
#include "harness/base/yaml.h"
#include "harness/base/yaml_map.h"
#include "tasks/longbench/longbench_task.h"
#include "tasks/own/own_task.h"
#include "tasks/ruler/ruler_task.h"
#include "tasks/task.h"

namespace kvbench {
namespace {

using Tasks = std::map<std::string, std::unique_ptr<Task>>;
using Loader = std::vector<std::unique_ptr<Task>> (*)(const std::filesystem::path& file);

// Most benchmarks have one task a file, named by the file.
template <std::unique_ptr<Task> (*load)(const std::string& name, const std::filesystem::path& file)>
std::vector<std::unique_ptr<Task>> one_task(const std::filesystem::path& file) {
  const std::string benchmark = file.parent_path().filename().string();
  std::vector<std::unique_ptr<Task>> tasks;
  tasks.push_back(load(benchmark + "/" + file.stem().string(), file));
  return tasks;
}

// The folder below tasks/ says which benchmark reads the YAML file.
const std::map<std::string, Loader>& benchmarks() {
  static const std::map<std::string, Loader> all = {{"longbench", load_longbench_tasks},
                                                    {"own", one_task<load_own_task>},
                                                    {"ruler", one_task<load_ruler_task>},
                                                    {"ruler2", one_task<load_ruler_task>}};
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
      for (auto& task : load(entry.path())) tasks.emplace(task->name(), std::move(task));
    }
  }
  return tasks;
}

Tasks& all_tasks() {
  static Tasks tasks = load_tasks();
  return tasks;
}

using Groups = std::map<std::string, std::vector<std::string>>;

Groups load_groups() {
  Groups groups;
  const YamlNode root = read_yaml(project_root() / "tasks/groups.yaml");
  require_map(root, "the groups of tasks");
  for (size_t i = 0; i < root.keys.size(); ++i) {
    auto& names = groups[root.keys[i].text];
    for (const YamlNode& item : read_items(root.items[i], root.keys[i].text, "tasks")) {
      names.push_back(read_choice(item, root.keys[i].text, task_names()));
    }
  }
  return groups;
}

const Groups& all_groups() {
  static const Groups groups = load_groups();
  return groups;
}

}  // namespace

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const auto& [name, task] : all_tasks()) names.push_back(name);
  return names;
}

std::vector<std::string> task_group_names() {
  std::vector<std::string> names;
  for (const auto& [name, tasks] : all_groups()) names.push_back(name);
  return names;
}

std::vector<std::string> tasks_of(const std::string& name_or_group) {
  const auto it = all_groups().find(name_or_group);
  return it == all_groups().end() ? std::vector{find_task(name_or_group).name()} : it->second;
}

const Task& add_task(const std::filesystem::path& file) {
  static std::map<std::string, std::filesystem::path> added;
  const std::string name = "own/" + file.stem().string();
  const auto known = added.find(name);
  if (known != added.end() && known->second == file) return *all_tasks().at(name);
  if (all_tasks().contains(name)) {
    throw_input_error("{}: a task {} is there already; give the file another name", file.string(),
                      name);
  }
  auto task = load_own_task(name, file);
  added[name] = file;
  return *(all_tasks()[name] = std::move(task));
}

const Task& find_task(const std::string& name) {
  const auto it = all_tasks().find(name);
  if (it == all_tasks().end()) throw InputError(unknown_name("task", name, task_names()));
  return *it->second;
}

}  // namespace kvbench
