// Token ids of short texts that were encoded before.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvbench::text {

// A hash table from texts to ids. Beyond 32 MiB it forgets all and starts anew. Not thread-safe.
class TextIds {
 public:
  static constexpr size_t kMaxTextBytes = 256;  // longer texts are not kept: they hardly come again

  struct Found {
    std::span<const int32_t> ids;  // until the next add()
    bool usable;                   // as it was added
  };
  std::optional<Found> find(std::string_view text) const;
  // `text` is not there yet. A longer one, or one with very many ids, is not kept.
  void add(std::string_view text, std::span<const int32_t> ids, bool usable);

 private:
  struct Slot {
    uint64_t hash = 0;
    uint32_t text_begin = 0, ids_begin = 0;  // in texts_ and ids_
    uint16_t text_bytes = 0, n_ids = 0;
    bool used = false, usable = false;
  };
  size_t slot_of(std::string_view text, uint64_t hash) const;  // the text's, or where it would be
  void grow();

  std::vector<Slot> slots_;  // a power of two, at most half used
  size_t n_used_ = 0;
  std::string texts_;
  std::vector<int32_t> ids_;
};

}  // namespace kvbench::text
