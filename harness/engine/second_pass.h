// The passes that scorers ask for behind a prefilled context (policies/reconstruction.h): each runs
// over the whole cache, and its rows are removed again.
#pragma once

#include <exception>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "harness/cache/kv_cache.h"
#include "harness/model/decoder.h"
#include "policies/policy.h"

namespace kvbench {

class SecondPass {
 public:
  // For those of `policies` that ask for passes; policies with the same scorer share them, and so
  // do scorers that ask for the same ids (KVzip and KVzip+). What is thrown in one scorer's part is
  // that scorer's alone.
  SecondPass(const Decoder& model, const std::vector<int32_t>& context,
             const std::vector<const Policy*>& policies, const ContextFrame& frame,
             bool timed = false);

  // Every layer of the prefill, in order, windowed ones too. Copies keys and values, and lets go of
  // hidden states.
  void add_layer(const LayerView& layer);
  // After the last of them.
  void run();

  // After run(): the layers as they were added, with LayerView::reconstruction as the scorer
  // (Policy::scorer()) has made it, without queries unless a policy reads them after the scoring.
  // Keys and values live here. Throws what went wrong with the scorer.
  std::vector<LayerView> layers(const std::string& scorer) const;

  struct Cost {
    double ms = 0;       // alone, what is shared included; nan where not timed
    int64_t tokens = 0;  // that the passes read
  };
  Cost cost(const std::string& scorer) const;
  // Tokens that all passes read, those of several scorers once.
  int64_t tokens_read() const { return tokens_read_; }
  // Of the whole cache and the longest pass.
  int64_t bytes() const { return cache_.bytes_allocated(); }

 private:
  struct Scorer {
    std::unique_ptr<Reconstruction> made;
    std::exception_ptr failure;
    std::vector<at::Tensor> scores;  // [L] of [H, T]
    Cost cost;
  };
  // Runs `work`, a part of one scorer, and adds its time; what it throws ends that scorer.
  template <class F>
  void guarded(Scorer& scorer, F&& work);
  using Passes = std::vector<std::vector<int32_t>>;
  // The passes of scorers that ask for the same ones.
  void run(const Passes& passes, const std::vector<Scorer*>& readers);
  LayerView view(int64_t slot, int64_t n_tokens) const;

  const Decoder& model_;
  bool timed_, keeps_queries_ = false;
  std::map<std::string, Scorer> scorers_;  // by Policy::scorer()
  KvCache cache_;
  std::vector<LayerView> layers_;       // as added, but keys and values of budgeted ones
  std::map<int64_t, size_t> budgeted_;  // cache slot -> place in layers_
  double copy_ms_ = 0;
  int64_t tokens_read_ = 0;
};

}  // namespace kvbench
