#include "harness/profile/profile_data.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "harness/base/error.h"
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

void write_scorer(const h5::File& file, const ProfileData& data, const ScorerProfile& scorer) {
  const auto n_entries = static_cast<int64_t>(data.entries.size());
  const AveragedCurves averaged = average(data, scorer);
  const std::string group = scorer.name + "/";
  h5::write_array<double>(file, group + "table", averaged.table.dims, averaged.table.values);
  h5::write_array<double>(file, group + "spread", averaged.spread.dims, averaged.spread.values);
  h5::write_attribute(file, scorer.name, "scorer", scorer.scorer);
  h5::write_attribute(file, scorer.name, "sink", scorer.sink);
  h5::write_attribute(file, scorer.name, "window", scorer.window);
  const LearntCurves learnt = learn_curves(data, scorer);
  const std::vector<int64_t> knots = {data.n_layers, data.n_kv_heads, lukv::kKnots};
  h5::write_array<float>(file, group + "mean_curve", {data.n_layers, data.n_kv_heads, lukv::kParts},
                         learnt.mean_curve);
  h5::write_array<float>(file, group + "calibration_scores", knots, learnt.calibration_scores);
  h5::write_array<float>(file, group + "calibration_importance", knots,
                         learnt.calibration_importance);
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

// The next `count` of values that are handed out one after another.
template <class T>
class Cursor {
 public:
  Cursor(const h5::File& file, std::string name)
      : file_(file), name_(std::move(name)), values_(h5::read_array<T>(file, name_).values) {}

  std::vector<T> take(int64_t count) {
    if (count < 0 || at_ + count > static_cast<int64_t>(values_.size())) {
      file_.fail(name_, "is shorter than the entries say");
    }
    at_ += count;
    return {values_.begin() + at_ - count, values_.begin() + at_};
  }

 private:
  const h5::File& file_;
  std::string name_;
  std::vector<T> values_;
  int64_t at_ = 0;
};

ScorerProfile read_scorer(const h5::File& file, const std::string& name, const ProfileData& data) {
  ScorerProfile scorer;
  scorer.name = name;
  scorer.scorer = h5::read_attribute<std::string>(file, name, "scorer");
  scorer.sink = h5::read_attribute<int64_t>(file, name, "sink");
  scorer.window = h5::read_attribute<int64_t>(file, name, "window");
  const int64_t n_heads = data.n_layers * data.n_kv_heads;
  Cursor<float> curves(file, name + "/curves"), slopes(file, name + "/hull_slopes");
  Cursor<float> group_scores(file, name + "/group_scores"),
      group_losses(file, name + "/group_losses");
  Cursor<int32_t> tokens(file, name + "/hull_tokens");
  Cursor<int64_t> offsets(file, name + "/hull_offsets");
  std::optional<Cursor<float>> losses, scores;
  if (data.has_losses) {
    losses.emplace(file, name + "/losses");
    scores.emplace(file, name + "/ranked_scores");
  }
  if (h5::exists(file, name + "/gap")) {
    const auto gap = h5::read_array<double>(file, name + "/gap");
    if (gap.dims.size() != 2 || gap.dims[1] != std::ssize(kGapColumns)) {
      file.fail(name + "/gap", fmt::format("expected shape [ratios, {}]", std::ssize(kGapColumns)));
    }
    for (auto value = gap.values.begin(); value != gap.values.end();) {
      GapLosses& row = scorer.gap.emplace_back();
      for (const auto column : kGapColumns) row.*column = *value++;
    }
  }
  int64_t begin = offsets.take(1)[0];
  for (const ProfileEntry& entry : data.entries) {
    ScorerCurve& curve = scorer.curves.emplace_back();
    curve.prune_ratios = curves.take(kRatios * n_heads);
    for (const int64_t end : offsets.take(n_heads)) {
      const auto head_slopes = slopes.take(end - begin);
      const auto head_tokens = tokens.take(end - begin);
      auto& head = curve.hull.emplace_back();
      for (size_t i = 0; i < head_slopes.size(); ++i) {
        head.push_back({head_slopes[i], head_tokens[i]});
      }
      begin = end;
    }
    const int64_t n_free = entry.n_tokens - scorer.sink - scorer.window;
    for (int64_t h = 0; h < n_heads; ++h) {
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
  const auto entries = h5::read_array<int32_t>(file, "entries");
  for (size_t i = 0; i + 2 < entries.values.size(); i += 3) {
    data.entries.push_back({entries.values[i], entries.values[i + 1], entries.values[i + 2]});
  }
  for (const auto& name : h5::list(file)) {
    if (name == "entries") continue;
    const auto dims = h5::dims(file, name + "/curves");
    if (dims.size() != 4 || dims[0] != static_cast<int64_t>(data.entries.size()) ||
        dims[1] != kRatios) {
      file.fail(name + "/curves", "expected shape [entries, 99, layers, KV heads]");
    }
    data.n_layers = dims[2];
    data.n_kv_heads = dims[3];
    data.has_losses = h5::exists(file, name + "/losses");
    data.scorers.push_back(read_scorer(file, name, data));
  }
  return data;
}

}  // namespace

AveragedCurves average(const ProfileData& data, const ScorerProfile& scorer) {
  const std::vector<int64_t> dims = {kRatios, data.n_layers, data.n_kv_heads};
  const auto size = static_cast<size_t>(kRatios * data.n_layers * data.n_kv_heads);
  const auto n_curves = static_cast<double>(scorer.curves.size());
  KVB_CHECK(n_curves > 0, "an average of no curves");
  std::vector<double> mean(size, 0), spread(size, 0);
  for (const auto& curve : scorer.curves) {
    for (size_t i = 0; i < size; ++i) mean[i] += curve.prune_ratios[i] / n_curves;
  }
  for (const auto& curve : scorer.curves) {
    for (size_t i = 0; i < size; ++i) {
      spread[i] += std::pow(curve.prune_ratios[i] - mean[i], 2) / std::max(1.0, n_curves - 1);
    }
  }
  for (double& value : spread) value = std::sqrt(value);
  return {{dims, std::move(mean)}, {dims, std::move(spread)}};
}

LearntCurves learn_curves(const ProfileData& data, const ScorerProfile& scorer) {
  const int64_t n_heads = data.n_layers * data.n_kv_heads;
  std::vector<double> shares;  // what turns an entry's losses into shares of all its importance
  double n_entries = 0;
  for (const ScorerCurve& curve : scorer.curves) {
    double total = 0;
    for (const auto& head : curve.hull) {
      for (const auto& segment : head) total += segment.slope * segment.tokens;
    }
    shares.push_back(total > 0 ? 1 / total : 0);
    n_entries += total > 0 ? 1 : 0;
  }
  LearntCurves learnt;
  for (int64_t h = 0; h < n_heads; ++h) {
    std::vector<double> mean(lukv::kParts, 0);
    std::vector<lukv::RankGroups> groups;
    std::vector<double> weights;  // importance of a token in units of the mean over all heads
    for (size_t e = 0; e < scorer.curves.size(); ++e) {
      const ScorerCurve& curve = scorer.curves[e];
      const auto parts = lukv::part_losses(curve.hull[h]);
      for (size_t i = 0; i < parts.size(); ++i) {
        mean[i] += parts[i] * shares[e] / std::max(1.0, n_entries);
      }
      groups.push_back(curve.groups[h]);
      const auto n_free = data.entries[e].n_tokens - scorer.sink - scorer.window;
      weights.push_back(shares[e] * static_cast<double>(n_heads * n_free));
    }
    // Rounding must not undo the order of the parts.
    for (size_t i = 1; i < mean.size(); ++i) mean[i] = std::max(mean[i], mean[i - 1]);
    learnt.mean_curve.insert(learnt.mean_curve.end(), mean.begin(), mean.end());
    const lukv::Calibration calibration = lukv::calibrate(groups, weights);
    learnt.calibration_scores.insert(learnt.calibration_scores.end(), calibration.scores.begin(),
                                     calibration.scores.end());
    learnt.calibration_importance.insert(learnt.calibration_importance.end(),
                                         calibration.importance.begin(),
                                         calibration.importance.end());
  }
  return learnt;
}

void write_profile(const fs::path& path, const ProfileData& data) {
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
    for (const auto& scorer : data.scorers) write_scorer(file, data, scorer);
    file.close();
  }
  fs::rename(temporary, path);
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
