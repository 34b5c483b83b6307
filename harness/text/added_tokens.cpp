#include "harness/text/added_tokens.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/text/unicode.h"

namespace kvbench::text {
namespace {

AddedToken parse(const JsonView& item) {
  for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized", "special"}) {
    item.at(flag).boolean();  // tokenizer.json has them all
  }
  AddedToken token = parse_added_token(item);
  token.id = static_cast<int32_t>(item.at("id").integer(0, kMaxTokenId));
  return token;
}

bool same_flags(const AddedToken& a, const AddedToken& b) {
  return a.single_word == b.single_word && a.lstrip == b.lstrip && a.rstrip == b.rstrip &&
         a.normalized == b.normalized && a.special == b.special;
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

AddedTokens::AddedTokens(const std::optional<JsonView>& list, const DeclaredTokens& declared,
                         const Bpe& model, const Normalizer& normalizer) {
  for (size_t i = 0; list && i < list->size(); ++i) {
    AddedToken token = parse((*list)[i]);
    if (token.content.empty()) continue;
    const int32_t wanted = token.id;
    const std::string content = token.content;
    if (const int32_t id = add(std::move(token), model, normalizer); id != wanted) {
      (*list)[i].fail(
          fmt::format("added token \"{}\" has the id {}; expected {} from the vocabulary "
                      "and the tokens before it",
                      content, wanted, id));
    }
  }
  add_declared(declared, model, normalizer);
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    Tree& tree = token.normalized ? as_normalized_ : as_given_;
    if (token.pattern.empty() || !tree.add(token.pattern, static_cast<int32_t>(i))) {
      const std::string what = token.pattern.empty() ? "normalizes to nothing" : "comes twice";
      throw_input_error("{}: expected different texts for the added tokens; \"{}\" {}",
                        model.file(), token.content, what);
    }
  }
}

// After AddedVocabulary::add_tokens of huggingface/tokenizers (tokenizer/added_vocabulary.rs). The
// library gives a token that the model lacks the next free id and ignores the id in the file; where
// the two differ the file contradicts itself, and the callers refuse it. Returns the id.
int32_t AddedTokens::add(AddedToken token, const Bpe& model, const Normalizer& normalizer) {
  int32_t id = token_id(token.content);
  if (id < 0) id = model.token_id(token.content);
  if (id < 0) id = std::max(largest_ + 1, static_cast<int32_t>(model.vocabulary().size()));
  largest_ = std::max(largest_, id);
  token.id = id;
  token.pattern = token.normalized ? normalizer.apply(token.content) : token.content;
  if (token.special) special_.insert(token.content);
  ids_.insert_or_assign(token.content, id);
  const auto [place, is_new] = places_.try_emplace(id, tokens_.size());
  if (is_new) {
    tokens_.push_back(std::move(token));
  } else {
    tokens_[place->second] = std::move(token);  // listed twice: the later one counts
  }
  return id;
}

// After TokenizersBackend.__init__ of transformers 5.2 (tokenization_utils_tokenizers.py): tokens
// with ids first, then named ones that are not among them, then the further special ones.
void AddedTokens::add_declared(const DeclaredTokens& declared, const Bpe& model,
                               const Normalizer& normalizer) {
  const auto put = [&](const std::string& where, const AddedToken& token) {
    if (token.content.empty()) return;
    const int32_t before = token_id(token.content);
    const bool changes = before < 0 || !same_flags(tokens_[places_.at(before)], token);
    const int32_t wanted = token.id;
    const int32_t id = changes ? add(token, model, normalizer) : before;
    if (wanted >= 0 && wanted != id) {
      throw_input_error(
          "{}: added token \"{}\" has the id {}; expected {} from tokenizer.json and the tokens "
          "before it",
          where, token.content, wanted, id);
    }
    if (!changes) return;
    from_other_files_ +=
        fmt::format("{} {}{}{}{}{} {}\n", id, token.single_word ? 'w' : '-',
                    token.lstrip ? 'l' : '-', token.rstrip ? 'r' : '-',
                    token.normalized ? 'n' : '-', token.special ? 's' : '-', token.content);
  };
  if (!declared.in_config) {  // then the library adds those of tokenizer.json once more
    for (AddedToken token : std::vector<AddedToken>(tokens_)) {
      token.special = token.special || declared.is_named(token.content);
      put(model.file(), token);
    }
  }
  for (const auto& [where, given] : declared.added) {
    AddedToken token = given;
    if (!declared.in_config && token_id(token.content) == token.id) continue;  // as it stands there
    token.special = token.special || declared.is_named(token.content);
    put(where, token);
  }
  for (const auto& [name, token] : declared.named) {
    if (token_id(token.token.content) < 0) put(token.where, token.token);
  }
  for (const auto& [where, token] : declared.extra) {
    if (token_id(token.content) < 0) put(where, token);
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
