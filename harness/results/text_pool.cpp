#include "harness/results/text_pool.h"

#include <cstring>

#include "harness/base/error.h"
#include "harness/base/hash.h"
#include "harness/base/text.h"

namespace kvbench {
namespace {

using h5::Id;

constexpr const char* kTexts = "/texts";

// Calls visit(text, place) for every column that may be long.
template <class Row, class Visit>
void for_each_text(Row& row, Visit&& visit) {
  visit(row.prediction, row.prediction_at);
  visit(row.references, row.references_at);
  visit(row.classes, row.classes_at);
  visit(row.error, row.error_at);
  visit(row.needle_kept, row.needle_kept_at);
}

// The text's first bytes, whole characters.
std::string beginning(const std::string& text) {
  return text.substr(0, cut_before(text, TextPool::kColumn));
}

}  // namespace

std::string TextPool::take(SampleRow& row) {
  std::string added;
  for_each_text(row, [&](std::string& text, int64_t& at) {
    at = text.size() > kColumn ? place(text, added) : -1;
    if (at >= 0) text = beginning(text);
  });
  size_ += static_cast<int64_t>(added.size());
  return added;
}

int64_t TextPool::most_bytes(const SampleRow& row) {
  size_t bytes = 0;
  for_each_text(row, [&](const std::string& text, int64_t) {
    if (text.size() > kColumn) bytes += sizeof(uint64_t) + text.size();
  });
  return static_cast<int64_t>(bytes);
}

// A text stands behind its length, uint64 little-endian.
int64_t TextPool::place(std::string_view text, std::string& added) {
  const int64_t next = size_ + static_cast<int64_t>(added.size());
  const auto [it, is_new] = places_.try_emplace(sha256_hex(text), next);
  if (is_new) {
    for (size_t i = 0; i < sizeof(uint64_t); ++i) {
      added += static_cast<char>(static_cast<uint64_t>(text.size()) >> (8 * i) & 0xFF);
    }
    added += text;
  }
  return it->second;
}

void TextPool::create(const h5::File& file, std::string_view texts, int64_t capacity) {
  const hsize_t size = std::max(static_cast<hsize_t>(capacity), static_cast<hsize_t>(texts.size()));
  const Id properties(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_alloc_time(properties.get(), H5D_ALLOC_TIME_EARLY);
  H5Pset_obj_track_times(properties.get(), 0);
  const Id space(H5Screate_simple(1, &size, nullptr));
  const Id dataset = file.own(H5Dcreate2(file.id(), kTexts, H5T_NATIVE_UINT8, space.get(),
                                         H5P_DEFAULT, properties.get(), H5P_DEFAULT),
                              kTexts);
  write(file, 0, texts);
}

int64_t TextPool::capacity(const h5::File& file) {
  return h5::exists(file, kTexts) ? h5::dims(file, kTexts).at(0) : 0;
}

void TextPool::write(const h5::File& file, int64_t at, std::string_view bytes) {
  if (bytes.empty()) return;
  const Id dataset = file.own(H5Dopen2(file.id(), kTexts, H5P_DEFAULT), kTexts);
  const Id target = file.own(H5Dget_space(dataset.get()), kTexts);
  const hsize_t start = static_cast<hsize_t>(at), count = bytes.size();
  file.check(H5Sselect_hyperslab(target.get(), H5S_SELECT_SET, &start, nullptr, &count, nullptr),
             kTexts);
  const Id source(H5Screate_simple(1, &count, nullptr));
  file.check(H5Dwrite(dataset.get(), H5T_NATIVE_UINT8, source.get(), target.get(), H5P_DEFAULT,
                      bytes.data()),
             kTexts);
}

void TextPool::restore(const h5::File& file, std::vector<SampleRow>& rows) {
  h5::Array<uint8_t> texts;
  for (SampleRow& row : rows) {
    for_each_text(row, [&](std::string& text, int64_t& at) {
      if (at < 0) return;
      if (texts.values.empty()) texts = h5::read_array<uint8_t>(file, kTexts);
      const auto size = static_cast<uint64_t>(texts.values.size()),
                 place = static_cast<uint64_t>(at);
      uint64_t length = 0;
      if (place > size || size - place < sizeof(length))
        file.fail(kTexts, "a text is outside of it");
      for (size_t i = 0; i < sizeof(length); ++i) {
        length |= static_cast<uint64_t>(texts.values[place + i]) << (8 * i);
      }
      if (length > size - place - sizeof(length)) file.fail(kTexts, "a text is longer than it");
      const auto* begin =
          reinterpret_cast<const char*>(texts.values.data()) + place + sizeof(length);
      text.assign(begin, length);
      at = -1;
    });
  }
}

}  // namespace kvbench
