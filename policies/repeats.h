// KVzip's requests to repeat a context, chunk by chunk, and what the repeats attend to
// (decode_policies.md 6; kvpress 0.5.5, KVzipPress).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "policies/reconstruction.h"

namespace kvbench {

// What KVzip and echo share.
struct RepeatRule {
  explicit RepeatRule(Params& p);

  int64_t chunk_size = 2048, sinks = 4;
  bool keep_head = false;
};

// A chunk of the context, its tokens [begin, end), and the pass that repeats it.
struct Repeat {
  int64_t begin = 0, end = 0;
  std::vector<int32_t> ids;  // the request, the frame's tail, the chunk

  int64_t n_tokens() const { return static_cast<int64_t>(ids.size()); }
  int64_t n_before() const { return n_tokens() - (end - begin); }  // the chunk's own
};

// Chunks of chunk_size tokens from the chat head on, the last one shorter; none where there is only
// the head. With `fit_first` the whole repeat of the first chunk has chunk_size tokens, where there
// is room for one of the chunk at least. Throws InputError for a frame without a tokenizer.
std::vector<Repeat> repeats_of(std::span<const int32_t> context, const ContextFrame& frame,
                               int64_t chunk_size, bool fit_first);

// About how many tokens they are of a context of T.
int64_t about_repeated(int64_t n_tokens, int64_t chunk_size);

// The most attention that a chunk's tokens get from its repeat, float32 [H, end - begin], of one
// layer as Reconstruction::observe() is told: each of the repeat's queries attends to the context's
// first min(sinks, begin) tokens, the chunk, and the repeat up to itself. With `hidden` (KVzip+)
// the attention a of query i to token j counts as a ||W_O v_j|| / ||hidden_i||.
at::Tensor repeat_scores(const LayerView& layer, const Repeat& repeat, int64_t sinks,
                         const at::Tensor& hidden = {});

// Raises the sinks (and the head, if it is kept) of all layers [L] of [H, T], in place, above
// the largest score of all.
void raise_first(std::vector<at::Tensor>& scores, const RepeatRule& rule, int64_t n_head);

}  // namespace kvbench
