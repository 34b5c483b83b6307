#include "tasks/ruler/needles.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvbench::ruler {
namespace {

constexpr size_t kNone = std::string_view::npos;

// "One of the special magic numbers for KEY is: ANSWER", up to its end; "" = there is none.
std::string_view sentence_with(std::string_view context, const std::string& answer) {
  constexpr std::string_view kBeginning = "One of the special magic ";
  const std::string end = fmt::format(" is: {}", answer);
  const size_t at = context.find(end);
  const size_t begin = at == kNone ? kNone : context.rfind(kBeginning, at);
  return begin == kNone ? "" : context.substr(begin, at + end.size() - begin);
}

// "VAR NAME = ...", up to the line's end.
std::string_view assignment_of(std::string_view context, const std::string& name) {
  const size_t begin = context.find(fmt::format("VAR {} = ", name));
  if (begin == kNone) return "";
  const std::string_view line = context.substr(begin, context.find('\n', begin) - begin);
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

}  // namespace

std::vector<std::string> needles_of(const std::string& family, std::string_view context,
                                    const std::vector<std::string>& answers) {
  std::vector<std::string> needles;
  for (const std::string& answer : answers) {
    std::string_view needle;
    if (family.starts_with("niah")) needle = sentence_with(context, answer);
    if (family == "variable_tracking") needle = assignment_of(context, answer);
    if (!needle.empty()) needles.emplace_back(needle);
  }
  return needles;
}

}  // namespace kvbench::ruler
