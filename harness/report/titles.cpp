#include "harness/report/titles.h"

#include <set>

namespace kvbench {
namespace {

std::string shown(const Fact& fact) {
  if (fact.last_resort && fact.value.empty()) return "";
  const std::string value = fact.value.empty() ? "unknown" : fact.value;
  return fact.word.empty() ? value : fact.word + " " + value;
}

}  // namespace

std::vector<std::string> differences(const std::vector<std::vector<Fact>>& parts) {
  std::vector<std::string> titles(parts.size()), told(parts.size());
  const auto different = [](const std::vector<std::string>& texts) {
    return std::set<std::string>(texts.begin(), texts.end()).size();
  };
  const auto add = [&](size_t fact) {
    std::vector<std::string> values, apart = told;
    for (size_t i = 0; i < parts.size(); ++i) {
      values.push_back(parts[i][fact].value);
      apart[i] += "\n" + values[i];
    }
    const bool last_resort = parts[0][fact].last_resort;
    if (last_resort ? different(apart) == different(told) : different(values) == 1) return;
    for (size_t i = 0; i < parts.size(); ++i) {
      const std::string text = shown(parts[i][fact]);
      if (!text.empty()) titles[i] += (titles[i].empty() ? "" : ", ") + text;
    }
    told = std::move(apart);
  };
  for (size_t fact = 0; !parts.empty() && fact < parts[0].size(); ++fact) add(fact);
  return titles;
}

std::vector<Fact> identity_facts(const RunInfo& run) {
  return {{"", run.model},
          {"dtype", run.dtype},
          {"weights", first_digits(run.model_hash), true},
          {"tokenizer", first_digits(run.tokenizer_hash), true},
          {"template", first_digits(run.prompt_hash), true},
          {"end tokens", run.end_tokens, true},
          {"arithmetic", run.numerics, true}};
}

std::string first_digits(const std::string& hash) { return hash.substr(0, 8); }

}  // namespace kvbench
