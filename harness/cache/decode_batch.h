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

  // Counts m new tokens on the caches' device, after reserve(), and returns their positions, int64
  // [S, m] there. When the step fails, the batch is of no more use; the caches are as before.
  at::Tensor begin(int64_t n_tokens);

  // Appends rows [S, m, H, d] of `layer` to every cache and attends query [S, m, Hq, d] over them,
  // or over the last `window` of them up to each token (0 = all), into `out`. workspace as
  // cache_attention_out()'s.
  void append_and_attend(int64_t layer, const at::Tensor& query, const at::Tensor& keys,
                         const at::Tensor& values, double scale, int64_t window,
                         const at::Tensor& workspace, const at::Tensor& out);

  // Ends a step of m new tokens, all layers having appended theirs: the caches count them.
  void advance(int64_t n_tokens);

  // A cache was cut: the next reserve() looks at all of them anew.
  void expire() { is_stale_ = true; }

  // Another number once an address that the operators get has changed: not by tokens that come, nor
  // by cuts in place.
  int64_t version() const { return version_; }

 private:
  // Where a layer's keys and values lie, and how many rows.
  struct Place {
    const void *keys, *values;
    int64_t n_rows;
    bool operator==(const Place&) const = default;
  };

  bool is_together(int64_t layer, int64_t n_tokens) const;

  void collect();
  void plan(const std::vector<int64_t>& lengths);
  // Takes values of the host to the device, in place where they are as many as before.
  void store(at::Tensor& target, const at::Tensor& values);

  std::vector<KvCache*> caches_;
  std::vector<Place> places_;       // [L]
  at::Tensor starts_;               // int64 [L, S, H], on the caches' device
  at::Tensor counters_;             // int64 [L * S * H + S], likewise: what grows with each token
  at::Tensor lengths_, positions_;  // views of it: [L, S, H], and of the latest tokens [S]
  at::Tensor items_, first_items_;  // int32 [L, n, 4] and [L, S * H + 1]: plans of decode steps
  at::Tensor one_;                  // int64 [], on the host
  int64_t version_ = 0;
  bool is_stale_ = true;  // tensors and places, which do not tell of the caches as they are
};

}  // namespace kvbench
