#include "harness/text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "harness/base/error.h"
#include "harness/base/json_view.h"
#include "harness/text/added_tokens.h"
#include "harness/text/bpe.h"
#include "harness/text/detokenizer.h"
#include "harness/text/normalizer.h"
#include "harness/text/pretokenizer.h"
#include "harness/text/segment_encoder.h"
#include "harness/text/unicode.h"

namespace kvbench {

using text::AddedTokens;
using text::Bpe;
using text::DeclaredTokens;
using text::EncoderMemories;
using text::EncoderMemory;
using text::Normalizer;
using text::PreTokenizer;
using text::SegmentEncoder;

namespace {

// Positions in a text are 32-bit in BPE and in ICU; normalization and the byte characters make a
// text longer, hence the margin.
constexpr size_t kMaxTextBytes = size_t{1} << 28;

template <class Part>
Part parse_optional(const JsonView& root, const char* key) {
  const auto part = root.find(key);
  return part ? Part(*part) : Part();
}

}  // namespace

struct Tokenizer::Impl {
  Impl(const JsonView& root, const DeclaredTokens& declared)
      : file(root.file()),
        normalizer(parse_optional<Normalizer>(root, "normalizer")),
        pre_tokenizer(parse_optional<PreTokenizer>(root, "pre_tokenizer")),
        decoder(parse_optional<text::Decoder>(root, "decoder")),
        bpe(root.at("model")),
        segments(pre_tokenizer, bpe) {
    if (const auto version = root.find("version"); version && version->text() != "1.0") {
      version->fail("expected \"1.0\"");
    }
    added = AddedTokens(root.find("added_tokens"), declared, bpe, normalizer);
    const std::string eos_token = declared.text("eos_token");
    if (!eos_token.empty()) eos_id = added.token_id(eos_token);
    for (const auto& [token, id] : bpe.vocabulary()) name(id, token);
    // A normalized added token decodes as it is looked for, so that the decoder can undo it.
    for (const auto& token : added.tokens()) name(token.id, token.pattern);
  }

  void name(int32_t id, const std::string& text) {
    const auto index = static_cast<size_t>(id);
    if (index >= texts.size()) {
      texts.resize(index + 1);
      known.resize(index + 1);
    }
    texts[index] = text;
    known[index] = true;
  }

  std::string file;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  text::Decoder decoder;
  Bpe bpe;
  SegmentEncoder segments;
  AddedTokens added;
  int32_t eos_id = -1;
  std::vector<std::string> texts;  // by id
  std::vector<bool> known;         // ids may have holes
  mutable EncoderMemories memories;
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Tokenizer Tokenizer::load_folder(const std::filesystem::path& model_dir) {
  const auto file = model_dir / "tokenizer.json";
  const nlohmann::json document = read_json(file);
  return Tokenizer(std::make_unique<Impl>(JsonView(document, file.string()),
                                          text::load_declared_tokens(model_dir)));
}

Tokenizer Tokenizer::load(const std::filesystem::path& tokenizer_json) {
  const nlohmann::json document = read_json(tokenizer_json);
  return Tokenizer(
      std::make_unique<Impl>(JsonView(document, tokenizer_json.string()), DeclaredTokens()));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  if (text.size() > kMaxTextBytes) {
    throw_input_error("{}: a text of {} bytes is too long; at most {} can be encoded at once",
                      impl_->file, text.size(), kMaxTextBytes);
  }
  std::string storage;
  text = kvbench::text::valid_utf8(text, storage);
  std::vector<int32_t> ids;
  std::unique_ptr<EncoderMemory> memory = impl_->memories.take();
  for (const auto& part : impl_->added.split(text, /*normalized=*/false)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    const std::string normalized =
        impl_->normalizer.apply(std::string(text.substr(part.begin, part.end - part.begin)));
    for (const auto& inner : impl_->added.split(normalized, /*normalized=*/true)) {
      if (inner.id >= 0) {
        ids.push_back(inner.id);
        continue;
      }
      impl_->segments.encode(
          std::string_view(normalized).substr(inner.begin, inner.end - inner.begin),
          part.begin == 0 && inner.begin == 0, *memory, ids);
    }
  }
  impl_->memories.put_back(std::move(memory));
  return ids;
}

std::string Tokenizer::decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int32_t id : ids) {
    if (id < 0) throw_input_error("{}: there is no token with the id {}", impl_->file, id);
    const auto index = static_cast<size_t>(id);
    if (index >= impl_->texts.size() || !impl_->known[index]) continue;
    const std::string& token = impl_->texts[index];
    if (!skip_special_tokens || !impl_->added.is_special(token)) tokens.push_back(token);
  }
  return impl_->decoder.apply(std::move(tokens));
}

int32_t Tokenizer::token_id(std::string_view token) const {
  const int32_t added = impl_->added.token_id(token);
  return added >= 0 ? added : impl_->bpe.token_id(token);
}

int32_t Tokenizer::eos_id() const { return impl_->eos_id; }

const std::string& Tokenizer::from_other_files() const { return impl_->added.from_other_files(); }

int64_t Tokenizer::vocab_size() const { return static_cast<int64_t>(impl_->texts.size()); }

}  // namespace kvbench
