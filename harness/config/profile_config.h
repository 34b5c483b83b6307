// What `kvbench profile` is asked to do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "harness/config/chat_template_use.h"
#include "harness/config/model_spec.h"
#include "harness/config/policy_yaml.h"

namespace kvbench {

// The contexts a profile is learnt from, and what is asked about each.
struct ContextsSpec {
  std::filesystem::path file;  // empty = the essays that set-up brings
  int64_t count = 0;           // contexts; 0 = all lines of a .jsonl file
  int64_t length = 0;          // tokens, chat head included; longer texts are cut there
  std::string ask = "recite";  // what generated questions ask for: recite, explain (contexts.h)
  int64_t questions = 1;       // asked about each context, where they are generated
  uint64_t seed = 42;          // of places and questions, where they are generated
};

struct ProfiledScorer {
  std::string name;  // the group in the file
  PartSpec scorer;
  int64_t sink = 4, window = 1;  // protected first and last tokens, outside every loss curve
};

struct ProfileConfig {
  std::string name, origin;
  ModelSpec model;
  std::string device = "auto";
  ChatTemplateUse chat_template = ChatTemplateUse::kYes;
  ContextsSpec contexts;
  int64_t decode_steps = 48;
  double temperature = 0.7;  // 0 = greedy
  uint64_t sampling_seed = 42;
  std::string oracle_norm = "layer";  // layer, none
  std::string scope = "global";       // global, layer
  double min_keep = 0.01;             // of a context, kept by every head
  bool losses = false;                // keep all loss curves: the gap report needs them
  std::vector<ProfiledScorer> scorers;
  std::vector<std::filesystem::path> plugins;
  int64_t threads = 0;           // 0 = LibTorch's default
  std::filesystem::path output;  // results/NAME.profile.h5 below the working folder unless given
};

// {file: F.jsonl or F.txt, count, length, ask: recite or explain, questions, seed}; of `length`
// and, but with a .jsonl file, `count` none has a default. Throws InputError.
ContextsSpec read_contexts(const YamlNode& node);

// Reads a profile's configuration, `sets` being --set overrides. Strict like a sweep's: unknown
// keys, wrong types and impossible values throw InputError with place and near matches. Keys:
//   name, model, scorers                        required
//   contexts: {file: F.jsonl or F.txt, count, length, ask: recite or explain, questions, seed}
//   decode_steps, sampling: greedy or {temperature, seed}, oracle_norm, scope, min_keep, losses
//   device, chat_template, threads, plugins, output
// with each of scorers {name: LABEL, scorer: PART, sink, window}; the label is the scorer's name
// when absent.
ProfileConfig load_profile_config(const std::filesystem::path& file,
                                  const std::vector<std::string>& sets = {});
ProfileConfig parse_profile_config(const YamlNode& root);

// Canonical YAML of everything that decides the result; output and threads are not in it.
std::string resolved_yaml(const ProfileConfig& config);

}  // namespace kvbench
