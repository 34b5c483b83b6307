#include "harness/text/text_ids.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace kvbench::text {
namespace {

constexpr size_t kMostBytes = size_t{1} << 25;
constexpr size_t kFirstSlots = 1 << 10;
constexpr size_t kMostIds = UINT16_MAX;

uint64_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text); }

}  // namespace

size_t TextIds::slot_of(std::string_view text, uint64_t hash) const {
  const auto is_text = [&](const Slot& slot) {
    return slot.hash == hash &&
           std::string_view(texts_).substr(slot.text_begin, slot.text_bytes) == text;
  };
  size_t at = hash & (slots_.size() - 1);
  while (slots_[at].used && !is_text(slots_[at])) at = (at + 1) & (slots_.size() - 1);
  return at;
}

std::optional<TextIds::Found> TextIds::find(std::string_view text) const {
  if (slots_.empty() || text.size() > kMaxTextBytes) return std::nullopt;
  const Slot& slot = slots_[slot_of(text, hash_of(text))];
  if (!slot.used) return std::nullopt;
  return Found{std::span(ids_).subspan(slot.ids_begin, slot.n_ids), slot.usable};
}

void TextIds::add(std::string_view text, std::span<const int32_t> ids, bool usable) {
  if (text.size() > kMaxTextBytes || ids.size() > kMostIds) return;
  const size_t bytes = slots_.size() * sizeof(Slot) + texts_.size() + ids_.size() * sizeof(int32_t);
  if (bytes > kMostBytes) *this = TextIds();
  if (2 * (n_used_ + 1) > slots_.size()) grow();
  const uint64_t hash = hash_of(text);
  slots_[slot_of(text, hash)] = {hash,
                                 static_cast<uint32_t>(texts_.size()),
                                 static_cast<uint32_t>(ids_.size()),
                                 static_cast<uint16_t>(text.size()),
                                 static_cast<uint16_t>(ids.size()),
                                 /*used=*/true,
                                 usable};
  ++n_used_;
  texts_ += text;
  ids_.insert(ids_.end(), ids.begin(), ids.end());
}

void TextIds::grow() {
  const std::vector<Slot> before =
      std::exchange(slots_, std::vector<Slot>(std::max(kFirstSlots, 2 * slots_.size())));
  for (const Slot& slot : before) {
    if (!slot.used) continue;
    size_t at = slot.hash & (slots_.size() - 1);
    while (slots_[at].used) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }
}

}  // namespace kvbench::text
