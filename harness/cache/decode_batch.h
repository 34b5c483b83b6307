// Several caches side by side as one batch of the attention operators, without padding: of every
// layer they share one buffer of keys and one of values (KvCache::move_together()).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "harness/cache/kv_cache.h"

namespace kvbench {

// Several caches that take the same number of new tokens together.
class DecodeBatch {
 public:
  explicit DecodeBatch(std::vector<KvCache*> caches);

  int64_t size() const { return static_cast<int64_t>(caches_.size()); }
  // The highest position that a sequence's next token has.
  int64_t furthest_position() const;

  // Makes room for m new tokens in every cache: call it before the first layer of a step. A layer
  // whose caches are not together yet, or have no room, is moved.
  void reserve(int64_t n_tokens);

  // Positions of the next m tokens, int64 [S, m] on the caches' device. After reserve().
  at::Tensor next_positions(int64_t n_tokens) const;

  // Appends rows [S, m, H, d] of `layer` to every cache and attends query [S, m, Hq, d] over them,
  // or over the last `window` of them up to each token (0 = all).
  at::Tensor append_and_attend(int64_t layer, const at::Tensor& query, const at::Tensor& keys,
                               const at::Tensor& values, double scale, int64_t window = 0);

  // Ends a step of m new tokens: all layers have appended theirs.
  void advance(int64_t n_tokens);

  // Looks at the caches anew: after one of them was cut.
  void collect();

 private:
  bool is_together(int64_t layer, int64_t n_tokens) const;

  void plan(const std::vector<int64_t>& lengths);

  std::vector<KvCache*> caches_;
  at::Tensor starts_, lengths_;     // int64 [L, S, H], on the caches' device
  at::Tensor positions_;            // int64 [S], likewise: of the next tokens
  at::Tensor items_, first_items_;  // int32 [L, n, 4] and [L, S * H + 1]: plans of decode steps
};

}  // namespace kvbench
