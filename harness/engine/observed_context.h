// A context whose future has been seen: what every scorer thought of its tokens, and what the
// tokens generated behind it, with the full cache, really made of them.
#pragma once

#include <functional>
#include <vector>

#include "harness/cache/kv_cache.h"
#include "harness/model/decoder.h"
#include "policies/lukv/oracle.h"
#include "policies/policy.h"

namespace kvbench {

class ObservedContext {
 public:
  // One prefill for the scorers of all policies, and what passes they ask for behind it; holds the
  // full cache. Throws InputError when a scorer refuses the context.
  ObservedContext(const Decoder& model, const std::vector<int32_t>& context,
                  const std::vector<const Policy*>& policies, lukv::OracleNorm norm, uint64_t seed,
                  const ContextFrame& frame = {});

  // Of a context that has been read: no scores, no prefill.
  ObservedContext(const Decoder& model, const std::vector<LayerView>& layers,
                  lukv::OracleNorm norm);

  // Scores of policies[i] before protection, float32 [L, H, T] on the CPU.
  const at::Tensor& scores(size_t i) const { return scores_[i]; }

  // The id that follows, from the logits, float32 [vocab]; step 0 is the answer's first token.
  using NextToken = std::function<int64_t(int64_t step, const at::Tensor& logits)>;
  struct Ask {
    ObservedContext* context;  // each in one Ask only
    std::vector<int32_t> question;
    NextToken next_token;
  };

  // Oracle importance of each asked context's tokens over n_steps decode steps behind its question
  // (not empty), float32 [L, H, T] on the CPU. Step k decodes next_token's k-th answer; the
  // question's own queries do not count. All are decoded as one batch, so that the weights are read
  // once a step. Nothing of it stays: the next question starts from the context again.
  static std::vector<at::Tensor> importance(const std::vector<Ask>& asks, int64_t n_steps);

 private:
  void add_layer(const LayerView& layer, lukv::OracleNorm norm);

  const Decoder& model_;
  KvCache cache_;
  std::vector<at::Tensor> scores_;  // [n_policies]
  std::vector<at::Tensor> norms_;   // [L] of [Hq, T]
  double attention_scale_ = 0;
  int64_t n_tokens_;
};

}  // namespace kvbench
