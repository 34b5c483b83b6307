#include "tasks/longbench/jieba.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/paths.h"
#include "harness/base/text.h"
#include "tasks/text.h"

namespace kvbench::longbench {
namespace {

constexpr double kImpossible = -3.14e100;  // jieba's MIN_FLOAT: what its tables do not hold

bool is_han(char32_t c) { return c >= 0x4E00 && c <= 0x9FD5; }

bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }

bool is_letter_or_digit(char32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c);
}

// What the dictionary is asked about; everything else stands alone.
bool is_of_run(char32_t c) {
  return is_han(c) || is_letter_or_digit(c) ||
         (c < 0x80 && std::string_view("+#&._%-").find(static_cast<char>(c)) != std::string::npos);
}

template <class Is>
size_t end_of(std::u32string_view text, size_t begin, Is&& is) {
  while (begin < text.size() && is(text[begin])) ++begin;
  return begin;
}

// [a-zA-Z0-9]+(?:\.\d+)?%? at `begin`; `begin` when it does not match.
size_t end_of_number_or_name(std::u32string_view text, size_t begin) {
  size_t end = end_of(text, begin, is_letter_or_digit);
  if (end == begin) return begin;
  if (end < text.size() && text[end] == '.') {
    const size_t decimals = end_of(text, end + 1, is_digit);
    if (decimals > end + 1) end = decimals;
  }
  return end < text.size() && text[end] == '%' ? end + 1 : end;
}

// A line of a data file, cut at single blanks.
struct Line {
  std::vector<std::string_view> parts;
  std::string place;

  [[noreturn]] void fail(const std::string& expected) const {
    throw_input_error("{}: expected {}", place, expected);
  }

  double number(size_t part) const {
    const std::string_view text = parts[part];
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
      fail(fmt::format("a number, got \"{}\"", text.substr(0, 40)));
    }
    return value;
  }
};

template <class Use>
void for_each_line(const std::filesystem::path& file, Use&& use) {
  if (!std::filesystem::exists(file)) {
    throw_input_error(
        "{}: missing, Chinese texts are cut into words with it; harness/toolchain/setup.sh chinese "
        "installs it",
        file.string());
  }
  const std::string text = read_file(file);
  int64_t number = 0;
  for (const std::string_view line : split_lines(text)) {
    Line read{split_lines(line, ' '), fmt::format("{}:{}", file.string(), ++number)};
    if (!is_valid_utf8(line)) read.fail("UTF-8");
    use(read);
  }
  if (number == 0)
    throw_input_error("{}: expected a line at least, got an empty file", file.string());
}

}  // namespace

Jieba::Jieba(const std::filesystem::path& folder) {
  read_dictionary(folder / "dict.txt");
  read_model(folder / "hmm.txt");
}

void Jieba::read_dictionary(const std::filesystem::path& file) {
  constexpr size_t kEntries = 500'000;  // of 0.42.1's: words and their beginnings
  children_.reserve(kEntries);
  frequencies_.reserve(kEntries);
  double total = 0;
  for_each_line(file, [&](const Line& line) {
    if (line.parts.size() < 2 || line.parts[0].empty()) line.fail("a word and its frequency");
    const double frequency = line.number(1);
    if (frequency < 0 || frequency > 1e12) line.fail("a frequency of 0 to 1e12");
    int node = 0;
    for (const char32_t c : code_points(line.parts[0])) {
      const uint64_t key = static_cast<uint64_t>(node) << 32 | c;
      const auto [it, is_new] = children_.try_emplace(key, static_cast<int>(frequencies_.size()));
      if (is_new) frequencies_.push_back(0);
      node = it->second;
    }
    frequencies_[static_cast<size_t>(node)] = frequency;
    total += frequency;
  });
  if (total <= 0) throw_input_error("{}: every frequency in it is 0", file.string());
  log_total_ = std::log(total);
}

void Jieba::read_model(const std::filesystem::path& file) {
  OfState impossible;
  impossible.fill(kImpossible);
  start_ = impossible;
  transition_.fill(impossible);
  for_each_line(file, [&](const Line& line) {
    const auto state = [&](size_t part) {
      const size_t at = line.parts[part].size() == 1 ? std::string("BEMS").find(line.parts[part])
                                                     : std::string::npos;
      if (at == std::string::npos) line.fail("a state B, M, E or S");
      return at;
    };
    const size_t parts = line.parts.size();
    if (parts == 3 && line.parts[0] == "start") {
      start_[state(1)] = line.number(2);
    } else if (parts == 4 && line.parts[0] == "trans") {
      transition_[state(1)][state(2)] = line.number(3);
    } else if (parts == 4 && line.parts[0] == "emit") {
      const std::u32string c = code_points(line.parts[2]);
      if (c.size() != 1) line.fail("one character");
      emission_.try_emplace(c[0], impossible).first->second[state(1)] = line.number(3);
    } else {
      line.fail("start STATE P, trans FROM TO P or emit STATE CHARACTER P");
    }
  });
}

std::vector<std::u32string> Jieba::segment(std::u32string_view text) const {
  Tokens out;
  for (size_t i = 0; i < text.size();) {
    size_t end = end_of(text, i, is_of_run);
    if (end > i) {
      cut_run(text.substr(i, end - i), out);
    } else {
      end = text.substr(i, 2) == U"\r\n" ? i + 2 : i + 1;
      out.emplace_back(text.substr(i, end - i));
    }
    i = end;
  }
  return out;
}

int Jieba::child(int node, char32_t c) const {
  const auto it = children_.find(static_cast<uint64_t>(node) << 32 | c);
  return it == children_.end() ? -1 : it->second;
}

double Jieba::frequency(std::u32string_view word) const {
  int node = 0;
  for (const char32_t c : word) {
    node = child(node, c);
    if (node < 0) return 0;
  }
  return frequencies_[static_cast<size_t>(node)];
}

// Of the most probable row of words: where the one that begins at each place ends (exclusive).
// From the right; of equal ones the longest word.
std::vector<size_t> Jieba::best_ends(std::u32string_view run) const {
  std::vector<size_t> ends(run.size());
  std::vector<double> best(run.size() + 1, 0);
  for (size_t begin = run.size(); begin-- > 0;) {
    bool found = false;
    const auto try_word = [&](size_t end, double frequency) {
      const double sum = std::log(frequency) - log_total_ + best[end];
      if (found && sum < best[begin]) return;
      best[begin] = sum;
      ends[begin] = end;
      found = true;
    };
    int node = 0;
    for (size_t end = begin + 1; end <= run.size(); ++end) {
      node = child(node, run[end - 1]);
      if (node < 0) break;
      const double frequency = frequencies_[static_cast<size_t>(node)];
      if (frequency > 0) try_word(end, frequency);
    }
    if (!found) try_word(begin + 1, 1);
  }
  return ends;
}

void Jieba::cut_run(std::u32string_view run, Tokens& out) const {
  const std::vector<size_t> ends = best_ends(run);
  size_t singles = 0;  // characters before `begin` that no word took
  for (size_t begin = 0; begin < run.size(); begin = ends[begin]) {
    if (ends[begin] == begin + 1) {
      ++singles;
      continue;
    }
    cut_singles(run.substr(begin - singles, singles), out);
    singles = 0;
    out.emplace_back(run.substr(begin, ends[begin] - begin));
  }
  cut_singles(run.substr(run.size() - singles), out);
}

// A row of single characters: the model looks for words that the dictionary does not hold.
void Jieba::cut_singles(std::u32string_view singles, Tokens& out) const {
  if (singles.size() < 2 || frequency(singles) > 0) {
    for (const char32_t c : singles) out.emplace_back(1, c);
    return;
  }
  for (size_t i = 0; i < singles.size();) {
    size_t end = end_of(singles, i, is_han);
    if (end > i) {
      cut_by_model(singles.substr(i, end - i), out);
      i = end;
      continue;
    }
    end = end_of_number_or_name(singles, i);
    if (end == i) {  // what lies between two of them
      while (end < singles.size() && !is_han(singles[end]) && !is_letter_or_digit(singles[end])) {
        ++end;
      }
    }
    out.emplace_back(singles.substr(i, end - i));
    i = end;
  }
}

void Jieba::cut_by_model(std::u32string_view text, Tokens& out) const {
  const std::vector<State> states = states_of(text);
  size_t begin = 0, next = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (states[i] == kBegin || states[i] == kSingle) begin = i;
    if (states[i] != kEnd && states[i] != kSingle) continue;
    out.emplace_back(text.substr(begin, i + 1 - begin));
    next = i + 1;
  }
  if (next < text.size()) out.emplace_back(text.substr(next));
}

// Viterbi's path; of equal ones the state with the larger letter.
std::vector<Jieba::State> Jieba::states_of(std::u32string_view text) const {
  static const std::array<std::array<State, 2>, kStates> kBefore = {{
      {kEnd, kSingle},    // B
      {kBegin, kMiddle},  // E
      {kBegin, kMiddle},  // M
      {kEnd, kSingle},    // S
  }};
  const auto emitted = [&](size_t i, size_t state) {
    const auto it = emission_.find(text[i]);
    return it == emission_.end() ? kImpossible : it->second[state];
  };
  OfState best;
  for (size_t s = 0; s < kStates; ++s) best[s] = start_[s] + emitted(0, s);
  std::vector<std::array<State, kStates>> from(text.size());
  for (size_t i = 1; i < text.size(); ++i) {
    OfState next;
    for (size_t s = 0; s < kStates; ++s) {
      const double emission = emitted(i, s);
      const auto& [small, large] = kBefore[s];
      const double by_small = best[small] + transition_[small][s] + emission;
      const double by_large = best[large] + transition_[large][s] + emission;
      next[s] = std::max(by_small, by_large);
      from[i][s] = by_large >= by_small ? large : small;
    }
    best = next;
  }
  std::vector<State> states(text.size());
  states.back() = best[kSingle] >= best[kEnd] ? kSingle : kEnd;
  for (size_t i = text.size() - 1; i > 0; --i) states[i - 1] = from[i][states[i]];
  return states;
}

const Jieba& jieba() {
  static const Jieba one(deps_dir() / "data/jieba");
  return one;
}

}  // namespace kvbench::longbench
