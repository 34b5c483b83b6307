#include "harness/text/added_tokens.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/text/unicode.h"

namespace kvbench::text {
namespace {

AddedToken parse(const JsonView& item, const Normalizer& normalizer) {
  AddedToken token;
  token.id = static_cast<int32_t>(item.at("id").integer(0, kMaxTokenId));
  token.content = item.at("content").text();
  token.single_word = item.at("single_word").boolean();
  token.lstrip = item.at("lstrip").boolean();
  token.rstrip = item.at("rstrip").boolean();
  token.normalized = item.at("normalized").boolean();
  token.special = item.at("special").boolean();
  token.pattern = token.normalized ? normalizer.apply(token.content) : token.content;
  return token;
}

size_t strip_left(std::string_view text, size_t begin) {
  while (begin > 0) {
    size_t before = begin;
    if (!is_white_space(previous_code_point(text, before))) break;
    begin = before;
  }
  return begin;
}

size_t strip_right(std::string_view text, size_t end) {
  while (end < text.size()) {
    size_t after = end;
    if (!is_white_space(next_code_point(text, after))) break;
    end = after;
  }
  return end;
}

bool between_words(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && is_word(previous_code_point(text, begin))) return false;
  return end == text.size() || !is_word(next_code_point(text, end));
}

}  // namespace

// After AddedVocabulary::add_tokens of huggingface/tokenizers (tokenizer/added_vocabulary.rs). The
// library gives a token that the model lacks the next free id and ignores the id in the file; where
// the two differ the file contradicts itself, and that is an error here.
AddedTokens::AddedTokens(const JsonView& list, const Bpe& model, const Normalizer& normalizer) {
  auto next_id = static_cast<int64_t>(model.vocabulary().size());
  for (size_t i = 0; i < list.size(); ++i) {
    AddedToken token = parse(list[i], normalizer);
    if (token.content.empty()) continue;
    int32_t expected = token_id(token.content);
    if (expected < 0) expected = model.token_id(token.content);
    if (expected < 0) expected = static_cast<int32_t>(next_id++);
    if (token.id != expected) {
      list[i].fail(
          fmt::format("added token \"{}\" has the id {}; expected {} from the vocabulary "
                      "and the tokens before it",
                      token.content, token.id, expected));
    }
    if (token.special) special_.insert(token.content);
    ids_.insert_or_assign(token.content, token.id);
    const auto same = std::find_if(tokens_.begin(), tokens_.end(),
                                   [&](const AddedToken& t) { return t.id == token.id; });
    if (same != tokens_.end()) {
      *same = std::move(token);  // listed twice: the later one counts
    } else {
      tokens_.push_back(std::move(token));
    }
  }
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    Tree& tree = token.normalized ? as_normalized_ : as_given_;
    if (token.pattern.empty() || !tree.add(token.pattern, static_cast<int32_t>(i))) {
      list.fail(fmt::format("expected different texts for the added tokens; \"{}\" {}",
                            token.content,
                            token.pattern.empty() ? "normalizes to nothing" : "comes twice"));
    }
  }
}

bool AddedTokens::Tree::add(std::string_view pattern, int32_t token) {
  starts[static_cast<unsigned char>(pattern.front())] = true;
  int32_t node = 0;
  for (const char c : pattern) {
    const auto byte = static_cast<unsigned char>(c);
    int32_t next = child(node, byte);
    if (next < 0) {
      next = static_cast<int32_t>(nodes.size());
      nodes[static_cast<size_t>(node)].children.emplace_back(byte, next);
      nodes.emplace_back();
    }
    node = next;
  }
  int32_t& end = nodes[static_cast<size_t>(node)].token;
  if (end >= 0) return false;
  end = token;
  return true;
}

int32_t AddedTokens::Tree::child(int32_t node, unsigned char byte) const {
  for (const auto& [b, next] : nodes[static_cast<size_t>(node)].children) {
    if (b == byte) return next;
  }
  return -1;
}

int32_t AddedTokens::Tree::match(std::string_view text, size_t begin) const {
  int32_t found = -1;
  int32_t node = 0;
  for (size_t i = begin; i < text.size(); ++i) {
    node = child(node, static_cast<unsigned char>(text[i]));
    if (node < 0) break;
    const int32_t token = nodes[static_cast<size_t>(node)].token;
    if (token >= 0) found = token;
  }
  return found;
}

// After AddedVocabulary::find_matches. A token that is refused for not being a single word still
// hides what it covers. White space that a token took on its right can hold further tokens; one
// that strips to its left has nothing left there and vanishes.
std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text, bool normalized) const {
  const Tree& tree = normalized ? as_normalized_ : as_given_;
  std::vector<Part> parts;
  size_t done = 0;  // end of the last part
  for (size_t i = 0; i < text.size();) {
    int32_t found = -1;
    if (tree.starts[static_cast<unsigned char>(text[i])]) found = tree.match(text, i);
    if (found < 0) {
      ++i;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(found)];
    size_t begin = i;
    size_t end = i + token.pattern.size();
    i = end;
    if (token.single_word && !between_words(text, begin, end)) continue;
    if (token.lstrip) begin = std::max(strip_left(text, begin), done);
    if (token.rstrip) end = strip_right(text, end);
    if (done < begin) parts.push_back({-1, done, begin});
    if (begin < end) parts.push_back({token.id, begin, end});
    done = end;
  }
  if (done < text.size()) parts.push_back({-1, done, text.size()});
  return parts;
}

int32_t AddedTokens::token_id(std::string_view content) const {
  const auto it = ids_.find(content);
  return it == ids_.end() ? -1 : it->second;
}

}  // namespace kvbench::text
