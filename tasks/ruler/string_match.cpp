#include "tasks/ruler/string_match.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "tasks/metric.h"
#include "tasks/text.h"

namespace kvbench::ruler {
namespace {

std::u32string clean(ControlCharacters control, const std::string& prediction) {
  std::u32string out;
  const std::u32string text = code_points(prediction);
  for (const char32_t c : strip_spaces(text)) {
    if (c > 0x1f) {
      out += c;
    } else if (control == ControlCharacters::kNewline) {
      out += U'\n';
    }
  }
  return std::u32string(strip_spaces(out));
}

}  // namespace

const std::vector<StringMatch>& string_match_metrics() {
  static const std::vector<StringMatch> metrics = {
      {"string_match_all", false, ControlCharacters::kNewline},
      {"string_match_all_kvpress", false, ControlCharacters::kRemoved},
      {"string_match_part", true, ControlCharacters::kNewline},
      {"string_match_part_kvpress", true, ControlCharacters::kRemoved},
  };
  return metrics;
}

const StringMatch& find_string_match(const std::string& metric) {
  std::vector<std::string> names;
  for (const StringMatch& known : string_match_metrics()) {
    if (known.name == metric) return known;
    names.push_back(known.name);
  }
  throw InputError(unknown_name("metric", metric, names));
}

namespace {

template <size_t kIndex>
class Registered : public Metric {
 public:
  explicit Registered(Params&) {}

  double share(const Answered& answered) const override {
    const StringMatch& match = string_match_metrics()[kIndex];
    if (answered.references.empty()) {
      throw_input_error("{}: there is no reference to compare with", match.name);
    }
    return hit_share(match, answered.prediction, answered.references);
  }
};
using All = Registered<0>;
using AllKvpress = Registered<1>;
using Part = Registered<2>;
using PartKvpress = Registered<3>;
KVB_REGISTER_METRIC("string_match_all", All, "share of the references that the prediction holds");
KVB_REGISTER_METRIC("string_match_all_kvpress", AllKvpress, "the same, control characters removed");
KVB_REGISTER_METRIC("string_match_part", Part, "does the prediction hold one of the references?");
KVB_REGISTER_METRIC("string_match_part_kvpress", PartKvpress,
                    "the same, control characters removed");

}  // namespace

std::string clean_prediction(ControlCharacters control, const std::string& prediction) {
  return to_utf8(clean(control, prediction));
}

double hit_share(const StringMatch& metric, const std::string& prediction,
                 const std::vector<std::string>& references) {
  KVB_CHECK(!references.empty(), "no references");
  const std::u32string text = python_lower(clean_prediction(metric.control, prediction));
  const auto hits =
      std::count_if(references.begin(), references.end(), [&](const std::string& reference) {
        return text.find(python_lower(reference)) != text.npos;
      });
  if (metric.any) return hits > 0 ? 1.0 : 0.0;
  return static_cast<double>(hits) / static_cast<double>(references.size());
}

std::string task_score(const std::string& metric, const std::vector<GradedSample>& samples) {
  const StringMatch& match = find_string_match(metric);
  if (samples.empty()) throw_input_error("{}: there are no samples to grade", metric);
  double sum = 0;
  for (const GradedSample& sample : samples) {
    if (sample.references.empty()) {
      throw_input_error("{}: sample {} has no references", metric, &sample - samples.data());
    }
    sum += hit_share(match, sample.prediction, sample.references);
  }
  return fmt::format("{:.2f}", sum / static_cast<double>(samples.size()) * 100);
}

std::string empty_predictions(const std::vector<GradedSample>& samples) {
  const auto empty = std::count_if(samples.begin(), samples.end(), [](const GradedSample& sample) {
    return clean_prediction(ControlCharacters::kNewline, sample.prediction).empty();
  });
  return fmt::format("{}/{}", empty, samples.size());
}

}  // namespace kvbench::ruler
