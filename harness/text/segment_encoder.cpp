#include "harness/text/segment_encoder.h"

#include <string>
#include <utility>

#include "harness/text/unicode.h"

namespace kvbench::text {
namespace {

using Cuts = PreTokenizer::Cuts;

// Places in a row that turn out to be no ends of segments before the rest is taken whole: the text
// up to each is looked at again.
constexpr int kMostRefusals = 16;

// The next place behind `from` where a blank (or word mark) begins that follows something else.
size_t next_cut(std::string_view text, std::string_view blank, size_t from) {
  size_t at = text.find(blank, from);
  for (; at != text.npos; at = text.find(blank, at + blank.size())) {
    if (at == 0) continue;
    const std::string_view before = text.substr(0, at);
    const auto last = static_cast<unsigned char>(before.back());
    // Control characters are mostly line ends, whose run the blanks may belong to.
    if (last > ' ' && !before.ends_with(kWordMark)) break;
  }
  return at;
}

}  // namespace

std::unique_ptr<EncoderMemory> EncoderMemories::take() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<EncoderMemory>();
  auto memory = std::move(idle_.back());
  idle_.pop_back();
  return memory;
}

void EncoderMemories::put_back(std::unique_ptr<EncoderMemory> memory) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(memory));
}

SegmentEncoder::SegmentEncoder(const PreTokenizer& pre_tokenizer, const Bpe& bpe)
    : pre_tokenizer_(pre_tokenizer), bpe_(bpe) {}

std::string_view SegmentEncoder::blank_of(Cuts cuts) const {
  switch (cuts) {
    case Cuts::kNone:
      return "";
    case Cuts::kSettled:
    case Cuts::kMetaspaceWords:
      return " ";
    case Cuts::kMetaspace:
      return bpe_.keeps_word_marks_apart() ? " " : "";
    case Cuts::kWordMarks:
      return bpe_.keeps_word_marks_apart() ? kWordMark : "";
  }
  return "";
}

void SegmentEncoder::encode(std::string_view text, bool starts_input, EncoderMemory& memory,
                            std::vector<int32_t>& ids) const {
  const Cuts cuts = pre_tokenizer_.cuts(text);
  const std::string_view blank = blank_of(cuts);
  size_t begin = 0;
  if (!blank.empty()) {
    int refusals = 0;
    for (size_t at = next_cut(text, blank, 0); at != text.npos && refusals < kMostRefusals;
         at = next_cut(text, blank, at + blank.size())) {
      if (encode_segment(text, begin, at, cuts, starts_input && begin == 0, memory, ids)) {
        begin = at;
        refusals = 0;
      } else {
        ++refusals;
      }
    }
  }
  encode_whole(text.substr(begin), starts_input && begin == 0, memory, ids);
}

// Appends the ids of text[begin, end), which a blank follows; false, and nothing is appended: no
// segment may end there.
bool SegmentEncoder::encode_segment(std::string_view text, size_t begin, size_t end, Cuts cuts,
                                    bool starts_input, EncoderMemory& memory,
                                    std::vector<int32_t>& ids) const {
  const std::string_view segment = text.substr(begin, end - begin);
  // What starts the input may get a word mark that it has nowhere else.
  if (!starts_input) {
    if (const auto found = memory.segments.find(segment)) {
      ids.insert(ids.end(), found->ids.begin(), found->ids.end());
      return found->usable;
    }
  }
  const size_t before = ids.size();
  bool usable = true;
  if (cuts == Cuts::kSettled) {
    std::vector<Piece> words;
    usable = pre_tokenizer_.settled_words(text.substr(begin, end + 1 - begin), end - begin, words);
    if (usable) encode_words(words, memory, ids);
  } else {
    encode_whole(segment, starts_input, memory, ids);
  }
  if (!starts_input) {
    memory.segments.add(segment, std::span<const int32_t>(ids).subspan(before), usable);
  }
  return usable;
}

void SegmentEncoder::encode_words(const std::vector<Piece>& words, EncoderMemory& memory,
                                  std::vector<int32_t>& ids) const {
  for (const Piece& word : words) {
    if (const auto found = memory.words.find(word.text)) {
      ids.insert(ids.end(), found->ids.begin(), found->ids.end());
      continue;
    }
    const size_t before = ids.size();
    bpe_.encode_word(word.text, ids);
    memory.words.add(word.text, std::span<const int32_t>(ids).subspan(before), /*usable=*/true);
  }
}

void SegmentEncoder::encode_whole(std::string_view text, bool starts_input, EncoderMemory& memory,
                                  std::vector<int32_t>& ids) const {
  if (text.empty()) return;
  std::vector<Piece> words;
  words.push_back({std::string(text), starts_input});
  pre_tokenizer_.apply(words);
  encode_words(words, memory, ids);
}

}  // namespace kvbench::text
