#include "harness/profile/profile.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <iterator>
#include <sstream>

#include "harness/base/error.h"
#include "harness/base/file_lock.h"
#include "harness/base/files.h"
#include "harness/model/open_model.h"
#include "harness/model/prompt.h"
#include "harness/model/provenance.h"
#include "harness/profile/contexts.h"
#include "harness/profile/measure.h"
#include "harness/profile/profile_parts.h"
#include "policies/plugins.h"

namespace kvbench {
namespace {

// A scorer as a policy: only its scores are asked for.
std::vector<Policy> make_scorers(const ProfileConfig& config) {
  std::vector<Policy> policies;
  for (const ProfiledScorer& scorer : config.scorers) {
    PolicySpec spec;
    spec.name = scorer.name;
    spec.scorer = scorer.scorer;
    spec.allocator.name = "uniform";
    spec.origin = config.origin;
    policies.emplace_back(spec);
  }
  return policies;
}

void check_contexts(const ProfileConfig& config, const ModelConfig& model,
                    const std::vector<ProfileContext>& contexts) {
  for (size_t i = 0; i < contexts.size(); ++i) {
    const std::string place = fmt::format("{}: context {}", config.origin, i);
    const auto n_tokens = static_cast<int64_t>(contexts[i].tokens.size());
    for (const auto& question : contexts[i].questions) {
      check_prompt(place, model, contexts[i].tokens, question, config.decode_steps);
    }
    for (const auto& scorer : config.scorers) {
      if (n_tokens > scorer.sink + scorer.window) continue;
      throw_input_error("{}: {} tokens are not more than the {} sinks and the window of {} of {}",
                        place, n_tokens, scorer.sink, scorer.window, scorer.name);
    }
  }
}

// What must be the same for a file to be gone on with, besides hashes of what the paths name;
// contexts do not depend on their number.
std::string identity(ProfileConfig config) {
  config.contexts.count = 0;
  config.contexts.file = config.contexts.file.filename();
  config.model.path = config.model.path.filename();
  config.model.revision = config.model.commit = "";
  config.plugins.clear();
  return resolved_yaml(config);
}

// Of all scorers, each line once.
std::string plugin_hashes(const std::vector<Policy>& scorers) {
  std::string lines;
  for (const Policy& scorer : scorers) {
    const std::string line = scorer.plugin_hashes();
    if (lines.find(line) == lines.npos) lines += line;
  }
  return lines;
}

ProfileData new_profile(const ProfileConfig& config, const std::vector<Policy>& scorers,
                        const OpenModel& model, const PromptFormat& format,
                        const std::string& data_hash, const StartProgress& start_progress) {
  ProfileData data;
  data.attributes = {
      {"name", config.name},
      {"config", resolved_yaml(config)},
      {"identity", identity(config)},
      {"model_hash", model_hash(config.model.path, start_progress)},
      {"tokenizer_hash", tokenizer_hash(config.model.path, format.tokenizer().from_other_files())},
      {"data_hash", data_hash},
      {"plugin_hashes", plugin_hashes(scorers)},
      {"git_commit", git_commit()},
      {"model", fmt::format("{} ({})", config.model.name, dtype_name(model.dtype))},
      {"device", model.device.str()},
      {"versions", library_versions()}};
  data.has_losses = config.losses;
  data.n_layers = model.config.n_budgeted_layers();
  data.n_kv_heads = model.config.n_kv_heads;
  for (size_t i = 0; i < scorers.size(); ++i) {
    const ProfiledScorer& asked = config.scorers[i];
    data.scorers.push_back({asked.name, scorers[i].scorer(), asked.sink, asked.window, {}, {}});
  }
  return data;
}

// "LINE in the file, LINE now"
std::string first_different_line(const std::string& before, const std::string& now) {
  std::istringstream before_lines(before), now_lines(now);
  std::string a, b;
  do {
    a = b = "";
    std::getline(before_lines, a);
    std::getline(now_lines, b);
  } while (a == b && (before_lines || now_lines));
  return fmt::format("\"{}\" in the file, \"{}\" now", a, b);
}

// What `file` holds, once it is sure that it is the same work as `data`, its scorers in that order.
ProfileData read_same(const std::filesystem::path& file, const ProfileData& data) {
  ProfileData stored = read_profile(file);
  const auto refuse = [&](const std::string& difference) {
    throw_input_error("{}: holds another profile: {}; choose another --output", file.string(),
                      difference);
  };
  for (const char* name :
       {"identity", "model_hash", "tokenizer_hash", "data_hash", "plugin_hashes", "model"}) {
    const std::string &before = stored.attributes[name], &now = data.attributes.at(name);
    if (before != now) refuse(fmt::format("{}: {}", name, first_different_line(before, now)));
  }
  if (stored.n_layers != data.n_layers || stored.n_kv_heads != data.n_kv_heads ||
      stored.has_losses != data.has_losses || stored.scorers.size() != data.scorers.size()) {
    refuse("the shapes differ");
  }
  // The file lists its scorers by name.
  std::vector<ScorerProfile> in_order;
  for (const ScorerProfile& scorer : data.scorers) {
    const auto it = std::find_if(stored.scorers.begin(), stored.scorers.end(),
                                 [&](const auto& s) { return s.name == scorer.name; });
    if (it == stored.scorers.end() || it->scorer != scorer.scorer || it->sink != scorer.sink ||
        it->window != scorer.window) {
      refuse(fmt::format("scorer {} differs", scorer.name));
    }
    in_order.push_back(std::move(*it));
  }
  stored.scorers = std::move(in_order);
  return stored;
}

void append(ProfileData& data, ProfileData more) {
  data.entries.insert(data.entries.end(), more.entries.begin(), more.entries.end());
  for (size_t s = 0; s < data.scorers.size(); ++s) {
    std::ranges::move(more.scorers[s].curves, std::back_inserter(data.scorers[s].curves));
  }
}

// Contexts are measured in order; entries of a group stand question by question.
size_t n_contexts(const ProfileData& data) {
  size_t n = 0;
  for (const auto& entry : data.entries) n = std::max(n, static_cast<size_t>(entry.context) + 1);
  return n;
}

}  // namespace

ProfileData make_profile(const ProfileConfig& config, const StartProgress& start_progress) {
  load_plugins(config.plugins);
  const std::vector<Policy> scorers = make_scorers(config);
  check_writable(config.output);
  if (std::filesystem::exists(config.output) && !is_profile(config.output)) {
    throw_input_error("{}: exists and is not a profile; choose another --output",
                      config.output.string());
  }
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  const OpenModel opened = open_model(config.model, config.device);
  for (const Policy& scorer : scorers) scorer.validate(opened.config.shape());
  const PromptFormat format(config.model.path, config.chat_template);
  const auto [contexts, data_hash] = load_contexts(config.contexts, format);
  check_contexts(config, opened.config, contexts);
  const ContextFrame frame = format.context_frame(PromptRule());
  check_weights(opened);

  const FileLock lock(config.output);
  const ProfileData empty = new_profile(config, scorers, opened, format, data_hash, start_progress);
  ProfileData data = empty;
  const ProfileParts parts(config.output);
  bool stored_whole = false;
  if (std::filesystem::exists(config.output)) {
    ProfileData stored = read_same(config.output, data);
    stored_whole = stored.complete;
    append(data, std::move(stored));
  }
  for (const auto& file : parts.files()) {
    ProfileData part = read_same(file, data);
    // Others are what a kill left behind when the output had them already.
    if (static_cast<size_t>(part.entries.front().context) != n_contexts(data)) continue;
    stored_whole = false;
    append(data, std::move(part));
  }
  size_t n_done = n_contexts(data);
  if (n_done > contexts.size()) {
    throw_input_error("{}: holds {} contexts, more than the {} asked for; choose another --output",
                      config.output.string(), n_done, contexts.size());
  }
  if (n_done < contexts.size()) {
    stored_whole = false;
    const Decoder model(config.model.path, opened.dtype, opened.device, start_progress);
    // Half of a context's work is reading it, the other half decoding and solving.
    const Advance advance = start_progress
                                ? start_progress(2 * static_cast<int64_t>(contexts.size()),
                                                 2 * static_cast<int64_t>(n_done))
                                : Advance();
    while (n_done < contexts.size()) {
      const size_t size = group_size(contexts, n_done);
      ProfileData group = empty;
      for (auto& measured :
           measure(config, model, scorers, contexts, frame, n_done, size, advance)) {
        group.entries.push_back(measured.entry);
        for (size_t s = 0; s < scorers.size(); ++s) {
          group.scorers[s].curves.push_back(std::move(measured.curves[s]));
        }
      }
      parts.add(group);
      append(data, std::move(group));
      n_done += size;
    }
  }
  data.complete = true;
  if (!stored_whole) write_profile(config.output, data);
  parts.remove();
  return data;
}

}  // namespace kvbench
