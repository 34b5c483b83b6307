// KVzip (Kim et al. 2025, arXiv 2505.23416): a token is worth the most attention that it gets while
// the model repeats the context, whatever is asked later. decode_policies.md 6; kvpress 0.5.5,
// KVzipPress.
#include <ATen/ATen.h>

#include "policies/reconstruction.h"
#include "policies/repeats.h"

namespace kvbench {
namespace {

enum class Normalization { kNone, kPlus };

// Of chunk [s, e) and its repeat's queries i, which attend to the sinks, the chunk and the repeat:
// s_j = max over i and the group of a_ij, with KVzip+ of a_ij ||W_O v_j|| / ||x_i||; of the chat
// head 0.
class Repeated : public Reconstruction {
 public:
  Repeated(const RepeatRule& rule, Normalization normalization, const std::vector<int32_t>& context,
           const ContextFrame& frame)
      : rule_(rule),
        normalization_(normalization),
        n_tokens_(std::ssize(context)),
        n_head_(frame.n_head),
        repeats_(repeats_of(context, frame, rule.chunk_size, /*fit_first=*/false)) {}

  void add_layer(const LayerView& layer) override {
    scores_.push_back(
        at::zeros({layer.n_kv_heads(), n_tokens_}, layer.keys.options().dtype(at::kFloat)));
  }

  std::vector<std::vector<int32_t>> passes() const override {
    std::vector<std::vector<int32_t>> ids;
    for (const Repeat& repeat : repeats_) ids.push_back(repeat.ids);
    return ids;
  }

  void observe(size_t pass, const LayerView& layer, const at::Tensor& hidden) override {
    const Repeat& repeat = repeats_[pass];
    const bool is_plus = normalization_ == Normalization::kPlus;
    scores_[layer.index]
        .narrow(1, repeat.begin, repeat.end - repeat.begin)
        .copy_(repeat_scores(layer, repeat, rule_.sinks, is_plus ? hidden : at::Tensor()));
  }

  std::vector<at::Tensor> scores() override {
    raise_first(scores_, rule_, n_head_);
    return std::move(scores_);
  }

 private:
  RepeatRule rule_;
  Normalization normalization_;
  int64_t n_tokens_, n_head_;
  std::vector<Repeat> repeats_;
  std::vector<at::Tensor> scores_;
};

class KvZip : public Scorer {
 public:
  explicit KvZip(Params& p) : rule_(p) {
    p.choice("normalization", normalization_,
             {{"none", Normalization::kNone}, {"plus", Normalization::kPlus}},
             "plus: attention times the norm of the projected value by that of the query's hidden "
             "state (KVzip+)");
  }

  at::Tensor score(const LayerView& layer) const override { return reconstructed(layer, "kvzip"); }

  bool reconstructs() const override { return true; }

  int64_t about_read_again(int64_t n_tokens) const override {
    return about_repeated(n_tokens, rule_.chunk_size);
  }

  std::unique_ptr<Reconstruction> reconstruct(const std::vector<int32_t>& context,
                                              const ContextFrame& frame) const override {
    return std::make_unique<Repeated>(rule_, normalization_, context, frame);
  }

 private:
  RepeatRule rule_;
  Normalization normalization_ = Normalization::kNone;
};

KVB_REGISTER_SCORER("kvzip", KvZip, "most attention from a repeat of the context (second pass)");

}  // namespace
}  // namespace kvbench
