// The KV cache of one sequence, cut to what a policy keeps: memory is really freed.
//
// Per layer one flat buffer of keys and one of values, [rows, head_dim]; each KV head has its own
// start, length and capacity in them, so an appended token is written in place. Caches that decode
// together lie side by side in the buffers of their batch (decode_batch.h), without padding.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "policies/kept.h"

namespace kvbench {

// Entries that forward passes attended to, those of the pass itself included and nothing cut yet.
struct Attended {
  int64_t n_passes = 0, n_entries = 0;  // the latter over all passes, layers and KV heads
  int64_t most = 0;                     // of one head in one pass
  int64_t n_heads = 0;                  // layers x KV heads

  // Of a head in a pass; NaN = there was none.
  double mean() const {
    return static_cast<double>(n_entries) / static_cast<double>(n_passes * n_heads);
  }
};

class KvCache {
 public:
  struct Layer {
    at::Tensor keys, values;  // [rows, head_dim], of a batch perhaps; keys after RoPE
    std::vector<int64_t> starts, lengths, capacities;  // [H], in rows of the buffers

    int64_t n_rows() const;                 // that are this cache's own
    bool has_room(int64_t n_tokens) const;  // behind every head
    // The first n rows, which it has room for, of the heads [head, head + n_heads), [n_heads, n,
    // head_dim], of `rows`, the keys or the values: where they lie, if they lie evenly.
    at::Tensor first_rows(const at::Tensor& rows, int64_t head, int64_t n_heads, int64_t n) const;
    // Of all heads, which have the same length and room, as those of a full cache.
    at::Tensor first_rows(const at::Tensor& rows, int64_t n) const;
  };

  explicit KvCache(int64_t n_layers);
  KvCache(KvCache&&) = default;
  KvCache& operator=(KvCache&&) = default;

  // Copies the kept rows of a prefilled layer, keys and values [H, T, head_dim], into buffers of
  // just that size. Each layer is stored once, in any order. Where only the device knows the
  // counts, the layer is complete with set_lengths().
  void store(int64_t layer, const at::Tensor& keys, const at::Tensor& values,
             const Selection& kept);
  void set_lengths(int64_t layer, const std::vector<int64_t>& counts);

  // The same of a layer with a sliding window of `window` tokens: of every head what the next token
  // sees beside itself.
  void store_window(int64_t layer, const at::Tensor& keys, const at::Tensor& values,
                    int64_t window);

  // Position of the next token: it continues from the uncompressed length, not from what is kept.
  int64_t next_position() const { return next_position_; }

  // Moves a layer of several caches into one buffer of keys and one of values that they share, with
  // room for `n_tokens` more tokens behind each head, and for a block at least, so that appends are
  // in place until it is full. When there is no memory for it all stay as they are.
  static void move_together(const std::vector<KvCache*>& caches, int64_t layer, int64_t n_tokens);

  // Moves layers that share the buffers of a batch into ones of their own, so that the batch's can
  // be let go.
  void leave_shared_buffers();

  // Counts `n_tokens` appended tokens (the operators have written their rows).
  void advance(int64_t n_tokens);

  // Forgets every token appended since store() or commit(), for the next question on the same
  // context. Not after a cut: copy the cache before, if it is wanted again.
  void rewind();

  // Lets go of what the next token does not see in a layer of that window. Not before rewind().
  void cut_to_window(int64_t layer, int64_t window);

  // Cuts a layer to some of its rows: positions are row numbers inside a head, in the order that
  // they get. Rows move up in place; buffers of its own of which less than half stays in use are
  // let go for smaller ones. Not by slot reuse (kernels/cache_cut), which would leave them out of
  // order: the scorers of the next cut take the last rows for the window and row order for that of
  // the text in pooling, ties and what tokens carry, and sorting keys and values for them would
  // move more rows than is saved.
  void cut(int64_t layer, const KeptTokens& kept_rows);

  // Of the passes since store(), commit() or rewind().
  const Attended& attended() const { return attended_; }

  // Frees all rows, those in the buffers of a batch once the others there have moved on. Nothing
  // may be asked of it afterwards.
  void let_go() { layers_.clear(); }

  // What is held now becomes the context that rewind() goes back to, in buffers of just that size.
  void commit();

  // A cache of its own with the same content: the only way to copy one, so that the cost is seen.
  KvCache clone() const;

  const Layer& layer(int64_t index) const { return layers_[index]; }
  int64_t n_layers() const { return static_cast<int64_t>(layers_.size()); }

  // What its rows of the buffers take, and the bytes of the entries in use.
  int64_t bytes_allocated() const;
  int64_t bytes_logical() const;

 private:
  static void move(const std::vector<Layer*>& layers, int64_t n_tokens);

  std::vector<Layer> layers_;
  int64_t context_length_ = 0, next_position_ = 0, appended_ = 0;
  bool cut_since_store_ = false;
  Attended attended_;
};

}  // namespace kvbench
