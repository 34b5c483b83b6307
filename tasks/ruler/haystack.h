// What RULER hides needles in, and where it puts them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/random.h"

namespace kvbench::ruler {

// One unit of the noise haystack (RULER niah.py and variable_tracking.py).
inline constexpr std::string_view kNoiseLine =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";

std::string join_views(const std::vector<std::string_view>& parts, std::string_view separator);

// A long text of which a sample takes the first words.
class Essay {
 public:
  explicit Essay(std::string_view text);

  // The first `count` words, whitespace runs made one blank, trimmed; the text starts again when it
  // has fewer words.
  std::string first_words(int64_t count) const;

  int64_t words() const { return static_cast<int64_t>(ends_.size()); }

 private:
  std::string text_;
  std::vector<size_t> ends_;  // of each word in text_
};

// All *.txt files of the folder sorted by name, with nothing between. Throws InputError when the
// folder or its texts are missing.
Essay load_essay(const std::filesystem::path& folder);

// Splits text (whitespace runs already one blank) into sentences, close to NLTK's Punkt without its
// model: a boundary after . ? or ! (a) with up to two closing marks of "')]} when a blank follows,
// (b) directly before one of )";}]*:@'({[ unless (a) applies. Against Punkt on the first 60000
// words of the essays: all 3142 sentences end where Punkt ends them, 22 more ends (initials,
// abbreviations), none of those in the first 5000 words. The views point into `text`.
std::vector<std::string_view> split_sentences(std::string_view text);

// The 40 depths in percent at which a needle may lie: rounded linspace(0, 100, 40).
const std::vector<int64_t>& depths();

// `count` different depths as sentence positions, ascending: trunc(sentences * (depth / 100)).
// count <= 40.
std::vector<size_t> draw_sentence_positions(size_t sentences, size_t count, Random& random);

// Insert i goes before sentence positions[i] (ascending, at most sentences.size()). Joined by one
// blank; an empty run of sentences stays as an empty part, so two blanks may stand together.
std::string insert_between_sentences(const std::vector<std::string_view>& sentences,
                                     const std::vector<size_t>& positions,
                                     const std::vector<std::string>& inserts);

}  // namespace kvbench::ruler
