#include "harness/base/names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

namespace kvbench {

size_t edit_distance(std::string_view a, std::string_view b) {
  // Optimal string alignment over three rolling rows.
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  std::iota(above.begin(), above.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

std::vector<std::string> near_matches(std::string_view word,
                                      const std::vector<std::string>& known) {
  std::vector<std::pair<size_t, std::string>> close;
  for (const auto& name : known) {
    const size_t distance = edit_distance(word, name);
    const bool is_part = word.size() >= 3 && name.find(word) != std::string::npos;
    if (distance <= std::max<size_t>(1, word.size() / 3) || is_part) {
      close.emplace_back(is_part ? std::min<size_t>(distance, 1) : distance, name);
    }
  }
  std::sort(close.begin(), close.end());
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min<size_t>(close.size(), 3); ++i) names.push_back(close[i].second);
  return names;
}

std::string unknown_name(std::string_view kind, std::string_view word,
                         std::vector<std::string> known) {
  std::sort(known.begin(), known.end());
  const auto close = near_matches(word, known);
  const std::string hint =
      close.empty() ? "" : fmt::format("; did you mean {}?", fmt::join(close, " or "));
  return fmt::format("unknown {} \"{}\"{} (known: {})", kind, word, hint, fmt::join(known, ", "));
}

}  // namespace kvbench
