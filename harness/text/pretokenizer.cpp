#include "harness/text/pretokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "harness/text/byte_level.h"
#include "harness/text/normalizer.h"
#include "harness/text/unicode.h"

namespace kvbench::text {
namespace {

using Spans = std::vector<Regex::Span>;
using Pieces = std::vector<Piece>;

// openai/gpt-2 src/encoder.py; the library runs it for use_regex.
const Regex& gpt2_regex() {
  static const Regex regex(
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", "ByteLevel");
  return regex;
}

// What the library's Whitespace keeps: words, and runs of what is neither word nor white space. Its
// \w is Rust's, which has the two joiners.
Split whitespace() {
  static const Regex words(R"([\w\x{200C}\x{200D}]+|[^\w\s\x{200C}\x{200D}]+)", "Whitespace");
  return {words, SplitBehavior::kRemoved, /*invert=*/true};
}

// Joins neighbours in place: `joins(match, previous_match)` says whether a span joins the one that
// was read before it. Reading backwards gives MergedWithNext.
template <class Iterator, class Joins, class Out>
void fold_spans(Iterator first, Iterator last, Joins joins, Out& out) {
  bool previous_match = false;
  for (; first != last; ++first) {
    if (joins(first->match, previous_match) && !out.empty()) {
      out.back().begin = std::min(out.back().begin, first->begin);
      out.back().end = std::max(out.back().end, first->end);
    } else {
      out.push_back(*first);
    }
    previous_match = first->match;
  }
}

// The parts to keep, after NormalizedString::split of huggingface/tokenizers
// (tokenizer/normalizer.rs).
void apply_behavior(SplitBehavior behavior, Spans& spans) {
  const auto lone_match = [](bool match, bool previous) { return match && !previous; };
  Spans merged;
  switch (behavior) {
    case SplitBehavior::kIsolated:
      return;
    case SplitBehavior::kRemoved:
      std::erase_if(spans, [](const Regex::Span& span) { return span.match; });
      return;
    case SplitBehavior::kContiguous:
      fold_spans(
          spans.begin(), spans.end(), [](bool m, bool p) { return m == p; }, merged);
      break;
    case SplitBehavior::kMergedWithPrevious:
      fold_spans(spans.begin(), spans.end(), lone_match, merged);
      break;
    case SplitBehavior::kMergedWithNext:
      fold_spans(spans.rbegin(), spans.rend(), lone_match, merged);
      std::reverse(merged.begin(), merged.end());
      break;
  }
  spans = std::move(merged);
}

void cut(Piece&& piece, const Spans& spans, Pieces& out) {
  if (spans.size() == 1 && spans[0].begin == 0 && spans[0].end == piece.text.size()) {
    out.push_back(std::move(piece));
    return;
  }
  for (const auto& span : spans) {
    if (span.begin == span.end) continue;
    out.push_back({piece.text.substr(span.begin, span.end - span.begin),
                   piece.starts_input && span.begin == 0});
  }
}

// Every character for which `wanted` holds is a match of its own.
template <class Wanted>
void find_characters(std::string_view text, Wanted wanted, Spans& spans) {
  spans.clear();
  size_t previous = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    if (!wanted(next_code_point(text, i))) continue;
    if (previous < begin) spans.push_back({previous, begin, false});
    spans.push_back({begin, i, true});
    previous = i;
  }
  if (previous < text.size()) spans.push_back({previous, text.size(), false});
}

// One overload for each kind of step; `spans` is room to work in.

void run(const Split& step, Piece&& piece, Spans& spans, Pieces& out) {
  step.pattern.find_spans(piece.text, spans);
  if (step.invert) {
    for (auto& span : spans) span.match = !span.match;
  }
  apply_behavior(step.behavior, spans);
  cut(std::move(piece), spans, out);
}

void run(const Digits& step, Piece&& piece, Spans& spans, Pieces& out) {
  find_characters(piece.text, is_numeric, spans);
  apply_behavior(step.individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous, spans);
  cut(std::move(piece), spans, out);
}

void run(const WhitespaceSplit&, Piece&& piece, Spans& spans, Pieces& out) {
  find_characters(piece.text, is_white_space, spans);
  apply_behavior(SplitBehavior::kRemoved, spans);
  cut(std::move(piece), spans, out);
}

void run(const Punctuation& step, Piece&& piece, Spans& spans, Pieces& out) {
  find_characters(piece.text, is_punctuation, spans);
  apply_behavior(step.behavior, spans);
  cut(std::move(piece), spans, out);
}

void run(const ByteLevel& step, Piece&& piece, Spans& spans, Pieces& out) {
  if (step.add_prefix_space && !piece.text.starts_with(' ')) piece.text.insert(0, 1, ' ');
  const size_t first = out.size();
  if (step.use_regex) {
    gpt2_regex().find_spans(piece.text, spans);
    cut(std::move(piece), spans, out);
  } else {
    out.push_back(std::move(piece));
  }
  for (size_t i = first; i < out.size(); ++i) out[i].text = to_byte_level(out[i].text);
}

void run(const Metaspace& step, Piece&& piece, Spans& spans, Pieces& out) {
  std::string text;
  text.reserve(piece.text.size() + step.replacement.size());
  for (const char c : piece.text) {
    if (c == ' ') {
      text += step.replacement;
    } else {
      text += c;
    }
  }
  const bool prepend = step.prepend == Metaspace::Prepend::kAlways ||
                       (step.prepend == Metaspace::Prepend::kFirst && piece.starts_input);
  if (prepend && !text.starts_with(step.replacement)) text.insert(0, step.replacement);
  piece.text = std::move(text);
  if (!step.split) {
    out.push_back(std::move(piece));
    return;
  }
  size_t zero = 0;
  const UChar32 mark = next_code_point(step.replacement, zero);
  find_characters(
      piece.text, [mark](UChar32 c) { return c == mark; }, spans);
  apply_behavior(SplitBehavior::kMergedWithNext, spans);
  cut(std::move(piece), spans, out);
}

// The spans of one step that cuts a text and changes nothing in it.
void find_step_spans(const Split& step, std::string_view text, Spans& spans) {
  step.pattern.find_spans(text, spans);
}
void find_step_spans(const Digits& step, std::string_view text, Spans& spans) {
  find_characters(text, is_numeric, spans);
  if (!step.individual) apply_behavior(SplitBehavior::kContiguous, spans);
}
void find_step_spans(const ByteLevel& step, std::string_view text, Spans& spans) {
  if (step.use_regex) return gpt2_regex().find_spans(text, spans);
  spans.assign(1, {0, text.size(), false});
}

// Those of them that stay however the text goes on, and what is behind them.
Regex::Rest find_settled(const Split& step, std::string_view text, Spans& spans) {
  return step.pattern.find_settled_spans(text, spans);
}
Regex::Rest find_settled(const Digits& step, std::string_view text, Spans& spans) {
  find_step_spans(step, text, spans);
  // A digit may join others, and what is no digit is a gap.
  if (spans.empty()) return Regex::Rest::kUndecided;
  const bool gap = !spans.back().match;
  spans.pop_back();
  return gap ? Regex::Rest::kGap : Regex::Rest::kUndecided;
}
Regex::Rest find_settled(const ByteLevel& step, std::string_view text, Spans& spans) {
  if (step.use_regex) return gpt2_regex().find_settled_spans(text, spans);
  spans.clear();
  return Regex::Rest::kGap;
}

// A text cut by the steps so far: spans that stay, and from `rest` on what is still open.
struct Settled {
  Spans spans;
  size_t rest = 0;
  bool open = true;  // the rest is the start of one piece; else nothing is known of it
};

// One more step. False: `end` lies within a match, and the text behind `end` alone may have others.
template <class Step>
bool settle(const Step& step, std::string_view text, size_t end, Settled& settled) {
  Spans cut, found;
  const auto append = [&](size_t offset) {
    for (const auto& span : found) {
      if (span.match && offset + span.begin < end && end < offset + span.end) return false;
      cut.push_back({offset + span.begin, offset + span.end, span.match});
    }
    return true;
  };
  for (const auto& piece : settled.spans) {
    find_step_spans(step, text.substr(piece.begin, piece.end - piece.begin), found);
    if (!append(piece.begin)) return false;
  }
  if (settled.open) {
    const size_t offset = settled.rest;
    settled.open = find_settled(step, text.substr(offset), found) == Regex::Rest::kGap;
    if (!append(offset)) return false;
    if (!found.empty()) settled.rest = offset + found.back().end;
  }
  settled.spans = std::move(cut);
  return true;
}

SplitBehavior parse_behavior(const JsonView& part) {
  constexpr std::array<std::pair<const char*, SplitBehavior>, 5> kNames = {{
      {"Removed", SplitBehavior::kRemoved},
      {"Isolated", SplitBehavior::kIsolated},
      {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
      {"MergedWithNext", SplitBehavior::kMergedWithNext},
      {"Contiguous", SplitBehavior::kContiguous},
  }};
  for (const auto& [name, behavior] : kNames) {
    if (part.text() == name) return behavior;
  }
  part.fail(
      fmt::format("expected Removed, Isolated, MergedWithPrevious, MergedWithNext or "
                  "Contiguous, got \"{}\"",
                  part.text()));
}

}  // namespace

Metaspace Metaspace::parse(const JsonView& part) {
  Metaspace out{part.at("replacement").text(), Prepend::kAlways, part.boolean_or("split", true)};
  if (count_code_points(out.replacement) != 1) {
    part.at("replacement").fail("expected one character");
  }
  const std::string scheme = part.text_or("prepend_scheme", "always");
  if (scheme == "first") {
    out.prepend = Prepend::kFirst;
  } else if (scheme == "never") {
    out.prepend = Prepend::kNever;
  } else if (scheme != "always") {
    part.at("prepend_scheme").fail("expected first, always or never");
  }
  if (!part.boolean_or("add_prefix_space", true) && out.prepend != Prepend::kNever) {
    part.fail("expected prepend_scheme never, because add_prefix_space is false");
  }
  return out;
}

PreTokenizer::PreTokenizer(const JsonView& part) {
  add(part, 0);
  cuts_ = find_cuts();
}

PreTokenizer::Cuts PreTokenizer::find_cuts() const {
  if (steps_.size() == 1) {
    const auto* mark = std::get_if<Metaspace>(&steps_[0]);
    if (mark != nullptr && mark->replacement == kWordMark) {
      return mark->split ? Cuts::kMetaspaceWords : Cuts::kMetaspace;
    }
    // Gemma: blanks are word marks by then, so that nothing is left to split at.
    const auto* split = std::get_if<Split>(&steps_[0]);
    if (split != nullptr && split->pattern.is_literal(" ")) return Cuts::kWordMarks;
  }
  for (size_t i = 0; i < steps_.size(); ++i) {
    const auto* split = std::get_if<Split>(&steps_[i]);
    const auto* bytes = std::get_if<ByteLevel>(&steps_[i]);
    const bool known = (split != nullptr && split->behavior == SplitBehavior::kIsolated &&
                        split->pattern.forgets()) ||
                       (bytes != nullptr && !bytes->add_prefix_space && i + 1 == steps_.size()) ||
                       std::holds_alternative<Digits>(steps_[i]);
    if (!known) return Cuts::kNone;
  }
  return steps_.empty() ? Cuts::kWordMarks : Cuts::kSettled;
}

PreTokenizer::Cuts PreTokenizer::cuts(std::string_view text) const {
  const bool splits_blanks = cuts_ == Cuts::kWordMarks && !steps_.empty();
  return splits_blanks && text.find(' ') != text.npos ? Cuts::kNone : cuts_;
}

bool PreTokenizer::settled_words(std::string_view text, size_t end,
                                 std::vector<Piece>& words) const {
  Settled settled;
  bool to_bytes = false;
  for (const auto& step : steps_) {
    const bool known = std::visit(
        [&](const auto& s) {
          using Step = std::decay_t<decltype(s)>;
          to_bytes = std::is_same_v<Step, ByteLevel>;
          if constexpr (std::is_same_v<Step, Split> || std::is_same_v<Step, Digits> ||
                        std::is_same_v<Step, ByteLevel>) {
            return settle(s, text, end, settled);
          }
          return false;
        },
        step);
    if (!known) return false;
  }
  size_t covered = 0;
  for (const auto& span : settled.spans) {
    if (span.end > end) break;
    covered = span.end;
  }
  if (covered != end) return false;
  for (const auto& span : settled.spans) {
    if (span.end > end) break;
    if (span.begin == span.end) continue;
    const std::string_view word = text.substr(span.begin, span.end - span.begin);
    words.push_back({to_bytes ? to_byte_level(word) : std::string(word), false});
  }
  return true;
}

void PreTokenizer::add(const JsonView& part, int depth) {
  const std::string& type = part.at("type").text();
  if (type == "Sequence") {
    if (depth >= kMaxSequenceDepth) part.fail("expected less deeply nested Sequences");
    const JsonView list = part.at("pretokenizers");
    for (size_t i = 0; i < list.size(); ++i) add(list[i], depth + 1);
  } else if (type == "Split") {
    steps_.emplace_back(Split{parse_pattern(part, "pattern"), parse_behavior(part.at("behavior")),
                              part.at("invert").boolean()});
  } else if (type == "Digits") {
    steps_.emplace_back(Digits{part.at("individual_digits").boolean()});
  } else if (type == "Whitespace") {
    steps_.emplace_back(whitespace());
  } else if (type == "WhitespaceSplit") {
    steps_.emplace_back(WhitespaceSplit{});
  } else if (type == "Punctuation") {
    const auto behavior = part.find("behavior");
    steps_.emplace_back(
        Punctuation{behavior ? parse_behavior(*behavior) : SplitBehavior::kIsolated});
  } else if (type == "ByteLevel") {
    steps_.emplace_back(
        ByteLevel{part.at("add_prefix_space").boolean(), part.boolean_or("use_regex", true)});
  } else if (type == "Metaspace") {
    steps_.emplace_back(Metaspace::parse(part));
  } else {
    part.fail(
        fmt::format("pre-tokenizer type \"{}\" is not supported; expected Sequence, Split, "
                    "Digits, Punctuation, Whitespace, WhitespaceSplit, ByteLevel or Metaspace",
                    type));
  }
}

void PreTokenizer::apply(std::vector<Piece>& pieces) const {
  Spans spans;
  Pieces next;
  for (const auto& step : steps_) {
    next.clear();
    next.reserve(pieces.size());
    for (Piece& piece : pieces) {
      std::visit([&](const auto& s) { run(s, std::move(piece), spans, next); }, step);
    }
    pieces.swap(next);
  }
}

}  // namespace kvbench::text
