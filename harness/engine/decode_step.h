// Greedy decode steps of sequences that stay together: each chooses its tokens where the keys lie
// and feeds them to the next.
//
// The first step takes the memory; from then on nothing is allocated and no address changes until
// keys and values are moved, so that every further step is one CUDA graph on a GPU, and one
// parallel region of a CPU's threads. Not so where the host has a part in every step: a cache that
// evicts, a model of dynamic RoPE. Where the GPU cannot record a step, LibTorch warns of it once,
// and steps are launched kernel by kernel.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "harness/cache/decode_batch.h"
#include "harness/engine/decode.h"
#include "harness/engine/pace.h"
#include "harness/model/buffers.h"
#include "harness/model/decoder.h"

namespace kvbench {

class DecodeStep {
 public:
  // ids int64 [S]: the next token of each cache. Model and caches must outlive this.
  DecodeStep(const Decoder& model, std::vector<GrowingCache> caches, const at::Tensor& ids);
  DecodeStep(const DecodeStep&) = delete;

  // One token of every sequence; then ids() are the highest logits' (argmax_lowest()). errors[s]
  // receives what went wrong in the eviction of sequence s, if anything did. When it throws, the
  // caches are as before and this is of no more use.
  void run(std::vector<std::string>& errors);

  // int64 [S] and float32 [S, vocab] of the last step, on the device; the next one overwrites them.
  const at::Tensor& ids() const { return ids_; }
  const at::Tensor& logits() const { return logits_; }
  // The same ids of logits that the caller has changed.
  void choose();

  bool is_recorded() const { return again_ != nullptr; }

 private:
  using Versions = std::pair<int64_t, int64_t>;

  void launch(const Decoder::StepObserver& observer);
  void launch_again();
  std::function<void()> record();
  Versions versions() const { return {batch_.version(), buffers_.version()}; }

  const Decoder& model_;
  std::vector<GrowingCache> caches_;
  DecodeBatch batch_;
  Buffers buffers_{/*kept=*/true};
  at::Tensor ids_, logits_;
  Pace pace_;
  bool can_be_recorded_;
  std::function<void()> again_;                         // a recorded step, or nullptr
  Versions launched_ = {-1, -1}, recorded_ = {-1, -1};  // of what was last launched, and recorded
};

}  // namespace kvbench
