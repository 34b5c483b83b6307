// What is fuzzed: readers of files that others made.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "harness/fuzz/mutator.h"

namespace kvbench::fuzz {

struct Target {
  std::string name;
  std::string file;  // which file of a folder is damaged
  Form form;
  // Puts what must stand beside that file into the folder and returns good files for its place.
  std::function<std::vector<std::string>(const std::filesystem::path& folder)> prepare;
  // Reads the folder as the program does. May throw an InputError of one line that names the folder
  // or a place in it, and nothing else; a good file must be read without one.
  std::function<void(const std::filesystem::path& folder)> read;
  // std::runtime_error serves as well: of the readers that leave it to their caller to know whether
  // the file is the user's.
  bool runtime_errors = false;
};

std::vector<Target> safetensors_targets();
std::vector<Target> config_targets();
std::vector<Target> tokenizer_targets();
std::vector<Target> chat_template_targets();
std::vector<Target> jsonl_targets();
std::vector<Target> longbench_targets();
std::vector<Target> npy_targets();
std::vector<Target> profile_targets();
std::vector<Target> results_targets();
std::vector<Target> yaml_targets();

}  // namespace kvbench::fuzz
