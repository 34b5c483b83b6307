#include "harness/profile/profile_data.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/profile/learn.h"
#include "policies/lukv/allocation.h"
#include "policies/lukv/mean_curve.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using lukv::kRatios;

constexpr int64_t kSchemaVersion = 1;
const std::vector<std::string> kAttributes = {
    "name",          "config",     "identity", "model_hash", "tokenizer_hash", "data_hash",
    "plugin_hashes", "git_commit", "model",    "device",     "versions"};

constexpr double GapLosses::*kGapColumns[] = {
    &GapLosses::ratio,   &GapLosses::hull,   &GapLosses::oracle, &GapLosses::oracle_uniform,
    &GapLosses::uniform, &GapLosses::greedy, &GapLosses::exact,  &GapLosses::profile,
    &GapLosses::curves,  &GapLosses::online};

template <class T>
void write_vector(const h5::File& file, const std::string& name, const std::vector<T>& values) {
  h5::write_array<T>(file, name, {static_cast<int64_t>(values.size())}, values);
}

void write_learnt(const h5::File& file, const ProfileData& data, const ScorerProfile& scorer) {
  const AveragedCurves averaged = average(data, scorer);
  const std::string group = scorer.name + "/";
  h5::write_array<double>(file, group + "table", averaged.table.dims, averaged.table.values);
  h5::write_array<double>(file, group + "spread", averaged.spread.dims, averaged.spread.values);
  const LearntCurves learnt = learn_curves(data, scorer);
  const std::vector<int64_t> knots = {data.n_layers, data.n_kv_heads, lukv::kKnots};
  h5::write_array<float>(file, group + "mean_curve", {data.n_layers, data.n_kv_heads, lukv::kParts},
                         learnt.mean_curve);
  h5::write_array<float>(file, group + "calibration_scores", knots, learnt.calibration_scores);
  h5::write_array<float>(file, group + "calibration_importance", knots,
                         learnt.calibration_importance);
}

void write_measured(const h5::File& file, const ProfileData& data, const ScorerProfile& scorer) {
  const auto n_entries = static_cast<int64_t>(data.entries.size());
  const std::string group = scorer.name + "/";
  std::vector<float> curves, slopes, losses, scores, group_scores, group_losses;
  std::vector<int32_t> tokens;
  std::vector<int64_t> offsets = {0};
  for (const ScorerCurve& curve : scorer.curves) {
    curves.insert(curves.end(), curve.prune_ratios.begin(), curve.prune_ratios.end());
    for (const auto& head : curve.hull) {
      for (const lukv::Segment& segment : head) {
        slopes.push_back(segment.slope);
        tokens.push_back(segment.tokens);
      }
      offsets.push_back(static_cast<int64_t>(slopes.size()));
    }
    for (const auto& head : curve.groups) {
      group_scores.insert(group_scores.end(), head.scores.begin(), head.scores.end());
      group_losses.insert(group_losses.end(), head.losses.begin(), head.losses.end());
    }
    for (const auto& head : curve.losses) losses.insert(losses.end(), head.begin(), head.end());
    for (const auto& head : curve.scores) scores.insert(scores.end(), head.begin(), head.end());
  }
  h5::write_array<float>(file, group + "curves",
                         {n_entries, kRatios, data.n_layers, data.n_kv_heads}, curves);
  h5::write_attribute(file, scorer.name, "scorer", scorer.scorer);
  h5::write_attribute(file, scorer.name, "sink", scorer.sink);
  h5::write_attribute(file, scorer.name, "window", scorer.window);
  const std::vector<int64_t> groups = {n_entries, data.n_layers, data.n_kv_heads, lukv::kKnots};
  h5::write_array<float>(file, group + "group_scores", groups, group_scores);
  h5::write_array<float>(file, group + "group_losses", groups, group_losses);
  write_vector(file, group + "hull_slopes", slopes);
  write_vector(file, group + "hull_tokens", tokens);
  write_vector(file, group + "hull_offsets", offsets);
  if (!scorer.gap.empty()) {
    std::vector<double> gap;
    for (const GapLosses& row : scorer.gap) {
      for (const auto column : kGapColumns) gap.push_back(row.*column);
    }
    h5::write_array<double>(file, group + "gap", {std::ssize(scorer.gap), std::ssize(kGapColumns)},
                            gap);
  }
  if (!data.has_losses) return;
  write_vector(file, group + "losses", losses);
  write_vector(file, group + "ranked_scores", scores);
}

// ---- reading ------------------------------------------------------------------------------------
constexpr float kMost = std::numeric_limits<float>::max();
constexpr int64_t kMostHeads = 65536;        // of a model
constexpr int64_t kMostProtected = 1 << 20;  // tokens

// A dataset whose shape is known, compared before anything is read; each value in [low, high].
template <class T>
std::vector<T> read_shaped(const h5::File& file, const std::string& name,
                           const std::vector<int64_t>& dims, T low, T high) {
  if (const auto found = h5::dims(file, name); found != dims) {
    file.fail(name, fmt::format("expected shape [{}], found [{}]", fmt::join(dims, ", "),
                                fmt::join(found, ", ")));
  }
  auto values = h5::read_array<T>(file, name).values;
  for (const T value : values) {
    if (value >= low && value <= high) continue;  // NaN is neither
    file.fail(name, fmt::format("expected values from {} to {}, found {}", low, high, value));
  }
  return values;
}

// Values that are handed out one after another; there are enough of them.
template <class T>
class Cursor {
 public:
  explicit Cursor(std::vector<T> values) : values_(std::move(values)) {}

  std::vector<T> take(int64_t count) {
    KVB_CHECK(count >= 0 && count <= std::ssize(values_) - at_, "{} values of {}", count,
              std::ssize(values_) - at_);
    at_ += count;
    return {values_.begin() + at_ - count, values_.begin() + at_};
  }

 private:
  std::vector<T> values_;
  int64_t at_ = 0;
};

std::vector<ProfileEntry> read_entries(const h5::File& file) {
  const auto stored = h5::read_array<int32_t>(file, "entries");
  if (stored.dims.size() != 2 || stored.dims[0] < 1 || stored.dims[1] != 3) {
    file.fail("entries", fmt::format("expected shape [entries, 3] with at least one, found [{}]",
                                     fmt::join(stored.dims, ", ")));
  }
  std::vector<ProfileEntry> entries;
  for (size_t i = 0; i < stored.values.size(); i += 3) {
    entries.push_back({stored.values[i], stored.values[i + 1], stored.values[i + 2]});
    const ProfileEntry& entry = entries.back();
    if (entry.context < 0 || entry.question < 0 || entry.n_tokens < 1) {
      file.fail("entries", fmt::format("expected a context, a question and a number of tokens, "
                                       "found {}, {}, {}",
                                       entry.context, entry.question, entry.n_tokens));
    }
  }
  return entries;
}

std::vector<GapLosses> read_gap(const h5::File& file, const std::string& name) {
  std::vector<GapLosses> gap;
  if (!h5::exists(file, name)) return gap;
  const auto stored = h5::read_array<double>(file, name);
  if (stored.dims.size() != 2 || stored.dims[1] != std::ssize(kGapColumns)) {
    file.fail(name, fmt::format("expected shape [ratios, {}]", std::ssize(kGapColumns)));
  }
  for (auto value = stored.values.begin(); value != stored.values.end();) {
    GapLosses& row = gap.emplace_back();
    for (const auto column : kGapColumns) row.*column = *value++;
  }
  return gap;
}

// Where the segments of each head begin, [n_curves + 1], ascending from 0.
std::vector<int64_t> read_offsets(const h5::File& file, const std::string& name, int64_t n_curves) {
  auto offsets =
      read_shaped<int64_t>(file, name, {n_curves + 1}, 0, std::numeric_limits<int64_t>::max());
  if (offsets.front() != 0 || !std::is_sorted(offsets.begin(), offsets.end())) {
    file.fail(name, "expected offsets that ascend from 0");
  }
  return offsets;
}

int64_t read_protected(const h5::File& file, const std::string& group, const char* name) {
  const auto n_tokens = h5::read_attribute<int64_t>(file, group, name);
  if (n_tokens < 0 || n_tokens > kMostProtected) {
    file.fail(group, fmt::format("{}: expected 0 to {}, found {}", name, kMostProtected, n_tokens));
  }
  return n_tokens;
}

ScorerProfile read_scorer(const h5::File& file, const std::string& name, const ProfileData& data) {
  ScorerProfile scorer;
  scorer.name = name;
  scorer.scorer = h5::read_attribute<std::string>(file, name, "scorer");
  scorer.sink = read_protected(file, name, "sink");
  scorer.window = read_protected(file, name, "window");
  scorer.gap = read_gap(file, name + "/gap");
  const int64_t n_entries = std::ssize(data.entries), n_heads = data.n_layers * data.n_kv_heads;
  int64_t n_losses = 0;
  for (const ProfileEntry& entry : data.entries) {
    const int64_t n_free = entry.n_tokens - scorer.sink - scorer.window;
    if (n_free < 1 || __builtin_add_overflow(n_losses, n_free * n_heads, &n_losses)) {
      file.fail(name, fmt::format("an entry of {} tokens, of which {} are protected",
                                  entry.n_tokens, scorer.sink + scorer.window));
    }
  }
  Cursor curves(read_shaped<float>(file, name + "/curves",
                                   {n_entries, kRatios, data.n_layers, data.n_kv_heads}, 0, 1));
  const std::vector<int64_t> groups = {n_entries, data.n_layers, data.n_kv_heads, lukv::kKnots};
  Cursor group_scores(read_shaped<float>(file, name + "/group_scores", groups, -kMost, kMost));
  Cursor group_losses(read_shaped<float>(file, name + "/group_losses", groups, 0, kMost));
  const auto offsets = read_offsets(file, name + "/hull_offsets", n_entries * n_heads);
  Cursor slopes(read_shaped<float>(file, name + "/hull_slopes", {offsets.back()}, 0, kMost));
  Cursor tokens(read_shaped<int32_t>(file, name + "/hull_tokens", {offsets.back()}, 1,
                                     std::numeric_limits<int32_t>::max()));
  std::optional<Cursor<float>> losses, scores;
  if (data.has_losses) {
    losses.emplace(read_shaped<float>(file, name + "/losses", {n_losses}, 0, kMost));
    scores.emplace(read_shaped<float>(file, name + "/ranked_scores", {n_losses}, -kMost, kMost));
  }
  auto offset = offsets.begin();
  for (const ProfileEntry& entry : data.entries) {
    const int64_t n_free = entry.n_tokens - scorer.sink - scorer.window;
    ScorerCurve& curve = scorer.curves.emplace_back();
    curve.prune_ratios = curves.take(kRatios * n_heads);
    for (int64_t h = 0; h < n_heads; ++h, ++offset) {
      const int64_t n_segments = offset[1] - offset[0];
      const auto head_slopes = slopes.take(n_segments);
      const auto head_tokens = tokens.take(n_segments);
      int64_t n_tokens = 0;
      auto& head = curve.hull.emplace_back();
      for (int64_t i = 0; i < n_segments; ++i) {
        head.push_back({head_slopes[i], head_tokens[i]});
        n_tokens += head_tokens[i];
      }
      if (n_tokens != n_free) {
        file.fail(name + "/hull_tokens",
                  fmt::format("expected {} tokens in a head, found {}", n_free, n_tokens));
      }
      curve.groups.push_back({group_scores.take(lukv::kKnots), group_losses.take(lukv::kKnots),
                              lukv::rank_group_sizes(n_free)});
      if (!losses) continue;
      curve.losses.push_back(losses->take(n_free));
      curve.scores.push_back(scores->take(n_free));
    }
  }
  return scorer;
}

ProfileData read_open(const h5::File& file) {
  if (!h5::has_attribute(file, "/", "schema_version") || !h5::exists(file, "entries")) {
    file.fail("/", "is not a profile made by this program");
  }
  const auto version = h5::read_attribute<int64_t>(file, "/", "schema_version");
  if (version != kSchemaVersion) {
    file.fail("/", fmt::format("expected schema_version {}, found {}", kSchemaVersion, version));
  }
  ProfileData data;
  for (const auto& name : kAttributes) {
    data.attributes[name] = h5::read_attribute<std::string>(file, "/", name);
  }
  data.complete = h5::read_attribute<int64_t>(file, "/", "complete") != 0;
  data.entries = read_entries(file);
  for (const auto& name : h5::list(file)) {
    if (name == "entries") continue;
    const bool first = data.scorers.empty();
    const bool has_losses = h5::exists(file, name + "/losses");
    if (first) {
      const auto dims = h5::dims(file, name + "/curves");
      if (dims.size() != 4 || dims[2] < 1 || dims[3] < 1 || dims[2] > kMostHeads ||
          dims[3] > kMostHeads / dims[2]) {
        file.fail(name + "/curves", fmt::format("expected shape [entries, 99, layers, KV heads], "
                                                "found [{}]",
                                                fmt::join(dims, ", ")));
      }
      data.n_layers = dims[2];
      data.n_kv_heads = dims[3];
      data.has_losses = has_losses;
    }
    if (has_losses != data.has_losses) file.fail(name, "has losses, or lacks them, unlike others");
    data.scorers.push_back(read_scorer(file, name, data));
  }
  if (data.scorers.empty()) file.fail("/", "holds no scorer");
  return data;
}

void write_file(const fs::path& path, const ProfileData& data, bool learn) {
  const fs::path temporary = path.string() + ".tmp";
  {
    h5::File file(temporary, h5::Mode::kCreate);
    h5::write_attribute(file, "/", "schema_version", kSchemaVersion);
    h5::write_attribute(file, "/", "complete", int64_t{data.complete});
    for (const auto& name : kAttributes) {
      h5::write_attribute(file, "/", name, data.attributes.at(name));
    }
    std::vector<int32_t> entries;
    for (const ProfileEntry& entry : data.entries) {
      entries.insert(entries.end(), {entry.context, entry.question, entry.n_tokens});
    }
    h5::write_array<int32_t>(file, "entries", {static_cast<int64_t>(data.entries.size()), 3},
                             entries);
    for (const auto& scorer : data.scorers) {
      write_measured(file, data, scorer);
      if (learn) write_learnt(file, data, scorer);
    }
    file.close();
  }
  settle_file(temporary);
  replace_file(temporary, path);
}

}  // namespace

void write_profile(const fs::path& path, const ProfileData& data) { write_file(path, data, true); }

void write_measurements(const fs::path& path, const ProfileData& data) {
  write_file(path, data, false);
}

bool is_profile(const fs::path& path) {
  try {
    return h5::exists(h5::File(path, h5::Mode::kRead), "entries");
  } catch (const std::runtime_error&) {
    return false;
  }
}

ProfileData read_profile(const fs::path& path) {
  try {
    return read_open(h5::File(path, h5::Mode::kRead));
  } catch (const std::runtime_error& e) {  // it names the file and the object
    throw InputError(e.what());
  }
}

}  // namespace kvbench
