#include "tasks/ruler/haystack.h"

#include <algorithm>
#include <cmath>

#include "harness/base/error.h"
#include "tasks/ruler/words.h"
#include "tasks/text.h"

namespace kvbench::ruler {
namespace {

bool is_one_of(std::string_view marks, char c) { return marks.find(c) != marks.npos; }

std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Where the sentence that ends with the mark at `at` ends (exclusive); `at` when it does not end.
size_t sentence_end(std::string_view text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && end < at + 3 && is_one_of("\"')]}", text[end])) ++end;
  // The end of the text counts as a blank: Punkt keeps closing marks there with their sentence.
  if (end == text.size() || text[end] == ' ') return end;
  return is_one_of(")\";}]*:@'({[", text[at + 1]) ? at + 1 : at;
}

}  // namespace

std::string join_views(const std::vector<std::string_view>& parts, std::string_view separator) {
  size_t size = 0;
  for (const std::string_view part : parts) size += part.size() + separator.size();
  std::string out;
  out.reserve(size);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out.append(separator);
    out.append(parts[i]);
  }
  return out;
}

Essay::Essay(std::string_view text) : text_(collapse_spaces(text)) {
  for (size_t at = text_.find(' '); at != text_.npos; at = text_.find(' ', at + 1)) {
    ends_.push_back(at);
  }
  ends_.push_back(text_.size());
}

std::string Essay::first_words(int64_t count) const {
  KVB_CHECK(count > 0, "{} words of an essay", count);
  std::string out;
  for (; count > words(); count -= words()) out.append(text_) += ' ';
  out.append(text_, 0, ends_[static_cast<size_t>(count) - 1]);
  return std::string(trim_blanks(out));
}

Essay load_essay(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  if (files.empty()) throw_missing_data(folder / "*.txt");
  std::sort(files.begin(), files.end());
  std::string text;
  for (const auto& file : files) text += read_data_file(file);
  return Essay(text);
}

std::vector<std::string_view> split_sentences(std::string_view text) {
  std::vector<std::string_view> sentences;
  size_t begin = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (!is_one_of(".?!", text[at])) continue;
    const size_t end = sentence_end(text, at);
    if (end == at) continue;
    sentences.push_back(text.substr(begin, end - begin));
    begin = end < text.size() && text[end] == ' ' ? end + 1 : end;
    at = begin - 1;
  }
  if (begin < text.size()) sentences.push_back(text.substr(begin));
  return sentences;
}

const std::vector<int64_t>& depths() {
  static const std::vector<int64_t> all = [] {
    std::vector<int64_t> rounded;
    for (int i = 0; i < 40; ++i) rounded.push_back(std::lround(100.0 * i / 39));
    return rounded;
  }();
  return all;
}

std::vector<size_t> draw_sentence_positions(size_t sentences, size_t count, Random& random) {
  std::vector<size_t> positions;
  for (const size_t i : random.sample(depths().size(), count)) {
    const double share = static_cast<double>(depths()[i]) / 100;
    positions.push_back(static_cast<size_t>(static_cast<double>(sentences) * share));
  }
  std::sort(positions.begin(), positions.end());
  return positions;
}

std::string insert_between_sentences(const std::vector<std::string_view>& sentences,
                                     const std::vector<size_t>& positions,
                                     const std::vector<std::string>& inserts) {
  KVB_CHECK(positions.size() == inserts.size(), "{} positions for {} inserts", positions.size(),
            inserts.size());
  std::string out;
  size_t from = 0;
  const auto append_run = [&](size_t to) {
    for (size_t i = from; i < to; ++i) {
      if (i > from) out += ' ';
      out += sentences[i];
    }
    from = to;
  };
  for (size_t i = 0; i < inserts.size(); ++i) {
    append_run(positions[i]);
    out.append(" ").append(inserts[i]).append(" ");
  }
  append_run(sentences.size());
  return out;
}

}  // namespace kvbench::ruler
