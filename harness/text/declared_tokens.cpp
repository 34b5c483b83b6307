#include "harness/text/declared_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "harness/text/bpe.h"

namespace kvbench::text {
namespace {

using Token = DeclaredTokens::Token;

// In the order in which the library gives new ones their ids.
constexpr std::array<const char*, 7> kNames = {"bos_token", "eos_token", "unk_token", "sep_token",
                                               "pad_token", "cls_token", "mask_token"};

bool is_standard(const std::string& name) {
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

AddedToken special_token(const std::string& content) {
  AddedToken token;
  token.content = content;
  token.special = true;
  return token;
}

// Its text, or an object that holds it.
Token parse_token(const JsonView& value, const std::string& where) {
  Token out{where, {}};
  if (value.value().is_object()) {
    out.token = parse_added_token(value);
  } else {
    out.token = special_token(value.text());
  }
  return out;
}

void set_named(DeclaredTokens& tokens, const std::string& name, std::optional<Token> token) {
  std::erase_if(tokens.named, [&](const auto& item) { return item.first == name; });
  if (token) tokens.named.emplace_back(name, std::move(*token));
}

void add_extra(DeclaredTokens& tokens, Token token) {
  const auto same = [&](const Token& t) { return t.token.content == token.token.content; };
  if (std::none_of(tokens.extra.begin(), tokens.extra.end(), same)) {
    tokens.extra.push_back(std::move(token));
  }
}

// The tokens of tokenizer_config.json or special_tokens_map.json; a later file's null takes a name
// away.
void read_named(const JsonView& file, DeclaredTokens& tokens) {
  const auto where = [&](const std::string& key) {
    return fmt::format("{}: {}", file.file(), key);
  };
  if (!file.value().is_object()) file.fail_type("an object");
  for (const auto& [key, value] : file.value().items()) {
    if (!key.ends_with("_token")) continue;
    if (value.is_null()) {
      set_named(tokens, key, std::nullopt);
    } else if (is_standard(key) || value.is_string() ||
               (value.is_object() && value.contains("content"))) {
      set_named(tokens, key, parse_token(file.at(key), where(key)));
    }  // else a switch such as add_bos_token
  }
  const auto extra = file.find("extra_special_tokens");
  if (extra && extra->value().is_object()) {
    for (const auto& [name, value] : extra->value().items()) {
      set_named(tokens, name, parse_token(extra->at(name), where("extra_special_tokens")));
    }
  }
  for (const char* key : {"extra_special_tokens", "additional_special_tokens"}) {
    const auto list = file.find(key);
    if (!list || list->value().is_object()) continue;
    for (size_t i = 0; i < list->size(); ++i) {
      add_extra(tokens, parse_token((*list)[i], where(key)));
    }
  }
}

// Object of id: token.
void read_decoder(const JsonView& list, DeclaredTokens& tokens) {
  if (!list.value().is_object()) list.fail_type("an object of id: token");
  for (const auto& [key, value] : list.value().items()) {
    int32_t id = -1;
    const auto [end, status] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (status != std::errc() || end != key.data() + key.size() || id < 0 || id > kMaxTokenId) {
      list.fail(fmt::format("expected ids from 0 to {} as keys, got \"{}\"", kMaxTokenId, key));
    }
    Token token{fmt::format("{}: added_tokens_decoder: {}", list.file(), key),
                parse_added_token(list.at(key))};
    token.token.id = id;
    tokens.added.push_back(std::move(token));
  }
}

// added_tokens.json, an object of text: id. Special is what another file gives a name.
void read_added(const JsonView& file, DeclaredTokens& tokens) {
  if (!file.value().is_object()) file.fail_type("an object of token: id");
  for (const auto& [content, value] : file.value().items()) {
    Token token{fmt::format("{}: \"{}\"", file.file(), content), special_token(content)};
    const auto same = [&](const Token& t) { return t.token.content == content; };
    token.token.special =
        tokens.is_named(content) || std::any_of(tokens.extra.begin(), tokens.extra.end(), same);
    token.token.normalized = !token.token.special;
    token.token.id = static_cast<int32_t>(file.at(content).integer(0, kMaxTokenId));
    tokens.added.push_back(std::move(token));
  }
}

// Calls use(view) with the file's content when it is there.
template <class Use>
void with_file(const std::filesystem::path& file, Use use) {
  if (!std::filesystem::exists(file)) return;
  const nlohmann::json document = read_json(file);
  use(JsonView(document, file.string()));
}

}  // namespace

AddedToken parse_added_token(const JsonView& item) {
  AddedToken token;
  token.content = item.at("content").text();
  token.single_word = item.boolean_or("single_word", false);
  token.lstrip = item.boolean_or("lstrip", false);
  token.rstrip = item.boolean_or("rstrip", false);
  token.special = item.boolean_or("special", false);
  token.normalized = item.boolean_or("normalized", !token.special);
  return token;
}

std::string DeclaredTokens::text(std::string_view name) const {
  for (const auto& [known, token] : named) {
    if (known == name) return token.token.content;
  }
  return "";
}

bool DeclaredTokens::is_named(std::string_view content) const {
  return std::any_of(named.begin(), named.end(),
                     [&](const auto& item) { return item.second.token.content == content; });
}

DeclaredTokens load_declared_tokens(const std::filesystem::path& model_dir) {
  DeclaredTokens tokens;
  with_file(model_dir / "tokenizer_config.json", [&](const JsonView& config) {
    if (config.boolean_or("split_special_tokens", false)) {
      config.at("split_special_tokens").fail("not supported; expected false");
    }
    read_named(config, tokens);
    if (const auto list = config.find("added_tokens_decoder")) {
      tokens.in_config = true;
      read_decoder(*list, tokens);
    }
  });
  if (!tokens.in_config) {
    with_file(model_dir / "special_tokens_map.json",
              [&](const JsonView& map) { read_named(map, tokens); });
    with_file(model_dir / "added_tokens.json",
              [&](const JsonView& added) { read_added(added, tokens); });
  }
  std::sort(tokens.added.begin(), tokens.added.end(),
            [](const Token& a, const Token& b) { return a.token.id < b.token.id; });
  const auto rank = [](const auto& item) {
    return std::find(kNames.begin(), kNames.end(), item.first) - kNames.begin();
  };
  std::stable_sort(tokens.named.begin(), tokens.named.end(),
                   [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  for (auto& [name, token] : tokens.named) token.token.special = true;
  return tokens;
}

}  // namespace kvbench::text
