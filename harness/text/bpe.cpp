#include "harness/text/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <optional>
#include <queue>

#include "harness/base/error.h"
#include "harness/text/unicode.h"

namespace kvbench::text {
namespace {

// No key: ids are below 2^31.
constexpr uint64_t kFree = UINT64_MAX;

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

MergeTable::MergeTable(size_t merges) : slots_(std::bit_ceil(2 * merges + 1), Slot{kFree, {}}) {}

size_t MergeTable::slot_of(uint64_t key) const {
  // Fibonacci hashing (Knuth, TAOCP 3, 6.4) with the high bits folded in.
  const uint64_t hash = key * 0x9e3779b97f4a7c15ULL;
  size_t slot = (hash ^ hash >> 32) & (slots_.size() - 1);
  while (slots_[slot].key != kFree && slots_[slot].key != key) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slot;
}

void MergeTable::set(int32_t left, int32_t right, Merge merge) {
  const uint64_t key = pair_key(left, right);
  slots_[slot_of(key)] = {key, merge};
}

const MergeTable::Merge* MergeTable::find(int32_t left, int32_t right) const {
  const Slot& slot = slots_[slot_of(pair_key(left, right))];
  return slot.key == kFree ? nullptr : &slot.merge;
}

Bpe::Bpe(const JsonView& model) : file_(model.file()) {
  // Files of the library's first versions have no type; BPE is the model with merges.
  const std::string type = model.text_or("type", model.find("merges") ? "BPE" : "");
  if (type != "BPE") {
    model.fail(fmt::format("model type \"{}\" is not supported; expected BPE", type));
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model.text_or(key, "").empty()) {
      model.at(key).fail("not supported; expected null or an empty string");
    }
  }
  if (const auto dropout = model.find("dropout")) {
    if (!dropout->value().is_number() || dropout->value().get<double>() != 0) {
      dropout->fail("not supported (encoding would be random); expected null or 0");
    }
  }
  unknown_token_ = model.text_or("unk_token", "");
  fuse_unknown_ = model.boolean_or("fuse_unk", false);
  byte_fallback_ = model.boolean_or("byte_fallback", false);
  ignore_merges_ = model.boolean_or("ignore_merges", false);
  read_vocabulary(model);
  read_merges(model);
  unknown_id_ = token_id(unknown_token_);
  for (size_t b = 0; b < byte_ids_.size(); ++b)
    byte_ids_[b] = token_id(fmt::format("<0x{:02X}>", b));
}

void Bpe::read_vocabulary(const JsonView& model) {
  const JsonView vocabulary = model.at("vocab");
  if (!vocabulary.value().is_object()) vocabulary.fail("expected an object of token: id");
  vocabulary_.reserve(vocabulary.value().size());
  std::vector<bool> taken;
  for (const auto& [token, value] : vocabulary.value().items()) {
    const bool number = value.is_number_unsigned();
    if (!number || value.get<uint64_t>() > static_cast<uint64_t>(kMaxTokenId)) {
      JsonView(value, file_, fmt::format("vocab: token \"{}\"", token))
          .fail_type(fmt::format("an integer from 0 to {}", kMaxTokenId));
    }
    const auto id = value.get<int32_t>();
    const auto index = static_cast<size_t>(id);
    if (index >= taken.size()) taken.resize(index + 1);
    if (taken[index]) {
      vocabulary.fail(fmt::format("two tokens have the id {}, one of them \"{}\"", id, token));
    }
    taken[index] = true;
    vocabulary_.emplace(token, id);
  }
}

void Bpe::read_merges(const JsonView& model) {
  const JsonView list = model.at("merges");
  const auto& items = list.value();
  list.size();  // throws unless it is a list
  merges_ = MergeTable(items.size());
  const bool strings = !items.empty() && items[0].is_string();
  for (size_t i = 0; i < items.size(); ++i) {
    if (strings) {  // older files: "a b"
      const std::string& text = list[i].text();
      if (text.starts_with("#version")) continue;
      const size_t blank = text.find(' ');
      if (blank == std::string::npos || text.find(' ', blank + 1) != std::string::npos) {
        list[i].fail(fmt::format("expected two tokens with one blank between, got \"{}\"", text));
      }
      add_merge(list, i, text.substr(0, blank), text.substr(blank + 1));
    } else {
      if (!items[i].is_array() || items[i].size() != 2 || !items[i][0].is_string() ||
          !items[i][1].is_string()) {
        list[i].fail("expected a pair of tokens");
      }
      add_merge(list, i, items[i][0].get_ref<const std::string&>(),
                items[i][1].get_ref<const std::string&>());
    }
  }
}

void Bpe::add_merge(const JsonView& merges, size_t index, const std::string& left,
                    const std::string& right) {
  const std::string joined = left + right;
  if (right.starts_with(kWordMark) && !left.ends_with(kWordMark)) joins_at_word_marks_ = true;
  for (const std::string* token : {&left, &right, &joined}) {
    if (token_id(*token) < 0) {
      merges[index].fail(
          fmt::format("expected tokens of the vocabulary; \"{}\" is not in it", *token));
    }
  }
  // A pair that comes twice counts with its later rank, as in the library.
  merges_.set(token_id(left), token_id(right), {static_cast<int32_t>(index), token_id(joined)});
}

int32_t Bpe::token_id(std::string_view token) const {
  const auto it = vocabulary_.find(token);
  return it == vocabulary_.end() ? -1 : it->second;
}

bool Bpe::keeps_word_marks_apart() const {
  const bool all_bytes = byte_fallback_ && std::all_of(byte_ids_.begin(), byte_ids_.end(),
                                                       [](int32_t id) { return id >= 0; });
  const bool drops_none = all_bytes || !unknown_token_.empty();
  return !joins_at_word_marks_ && !ignore_merges_ && drops_none && token_id(kWordMark) >= 0;
}

void Bpe::encode_word(std::string_view word, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const int32_t id = token_id(word); id >= 0) {
      ids.push_back(id);
      return;
    }
  }
  std::vector<Symbol> symbols = symbols_of(word);
  merge(symbols);
  for (const Symbol& symbol : symbols) {
    if (!symbol.removed) ids.push_back(symbol.id);
  }
}

// One symbol for each character; after BPE::merge_word of huggingface/tokenizers
// (models/bpe/model.rs), down to the order of an unknown token and fallback bytes behind it.
std::vector<Bpe::Symbol> Bpe::symbols_of(std::string_view word) const {
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  const auto add = [&symbols](int32_t id) {
    const auto here = static_cast<int32_t>(symbols.size());
    if (here > 0) symbols.back().next = here;
    symbols.push_back({id, here - 1, -1, false});
  };
  bool unknown = false;  // an unknown token waits for the next known character
  for (size_t i = 0; i < word.size();) {
    const size_t begin = i;
    next_code_point(word, i);
    const std::string_view character = word.substr(begin, i - begin);
    if (const int32_t id = token_id(character); id >= 0) {
      if (unknown) add(unknown_id_);
      unknown = false;
      add(id);
      continue;
    }
    const auto byte_id = [this](char c) { return byte_ids_[static_cast<unsigned char>(c)]; };
    if (byte_fallback_ &&
        std::all_of(character.begin(), character.end(), [&](char c) { return byte_id(c) >= 0; })) {
      for (const char c : character) add(byte_id(c));
      continue;
    }
    if (unknown_token_.empty()) continue;
    if (unknown_id_ < 0) {
      throw_input_error(
          "{}: no token for \"{}\", and the unknown token \"{}\" is not in the vocabulary", file_,
          character, unknown_token_);
    }
    if (unknown && !fuse_unknown_) add(unknown_id_);
    unknown = true;
  }
  if (unknown) add(unknown_id_);
  return symbols;
}

void Bpe::merge(std::vector<Symbol>& symbols) const {
  struct Candidate {
    uint64_t order;  // rank << 32 | position: lowest rank first, then leftmost
    int32_t id;      // of the joined token
    bool operator>(const Candidate& other) const { return order > other.order; }
  };
  const auto at = [&symbols](int32_t i) -> Symbol& { return symbols[static_cast<size_t>(i)]; };
  const auto candidate = [&](int32_t left) -> std::optional<Candidate> {
    if (left < 0 || at(left).next < 0) return std::nullopt;
    const auto* found = merges_.find(at(left).id, at(at(left).next).id);
    if (found == nullptr) return std::nullopt;
    return Candidate{pair_key(found->rank, left), found->id};
  };
  std::vector<Candidate> first;
  for (size_t i = 0; i + 1 < symbols.size(); ++i) {
    if (const auto c = candidate(static_cast<int32_t>(i))) first.push_back(*c);
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(std::greater<>(),
                                                                               std::move(first));
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    const auto position = static_cast<int32_t>(top.order & 0xffffffff);
    Symbol& left = at(position);
    if (left.removed || left.next < 0) continue;
    Symbol& right = at(left.next);
    // Expired: the pair at this place has changed since it was queued.
    const auto* now = merges_.find(left.id, right.id);
    if (now == nullptr || now->id != top.id) continue;
    left.id = top.id;
    left.next = right.next;
    right.removed = true;
    if (left.next >= 0) at(left.next).previous = position;
    if (const auto c = candidate(left.previous)) queue.push(*c);
    if (const auto c = candidate(position)) queue.push(*c);
  }
}

}  // namespace kvbench::text
