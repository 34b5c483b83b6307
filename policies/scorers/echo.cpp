// echo (kvpress, EchoPress): KVzip's scores foretold from the prefill. A repeat's queries are taken
// to be the prefill's own, turned to where the repeat would stand; one exact repeat of the first
// chunk says how the others have to be stretched. decode_policies.md 7.
#include <ATen/ATen.h>

#include <algorithm>

#include "policies/reconstruction.h"
#include "policies/repeats.h"
#include "policies/virtual_repeat.h"

namespace kvbench {
namespace {

enum class Calibrate { kNone, kHead, kLayer, kGlobal };
enum class Direction { kVirtualToExact, kExactToVirtual };

struct EchoRule : RepeatRule {
  explicit EchoRule(Params& p) : RepeatRule(p) {
    p.get("exact_first", exact_first, "score the first chunk by a repeat that is really run");
    p.choice("calibrate", calibrate,
             {{"none", Calibrate::kNone},
              {"head", Calibrate::kHead},
              {"layer", Calibrate::kLayer},
              {"global", Calibrate::kGlobal}},
             "whose scores of the first chunk, both ways, make one map between them");
    p.choice("direction", direction,
             {{"virtual_to_exact", Direction::kVirtualToExact},
              {"exact_to_virtual", Direction::kExactToVirtual}},
             "map the later chunks onto the exact scale, or the first one onto the virtual");
    p.get("guard", guard, "first tokens of each chunk, whose score is 1");
    p.require(exact_first || calibrate == Calibrate::kNone, "calibrate",
              "expected none without exact_first: the map is learnt from it");
    p.require_range("guard", static_cast<double>(guard), 0, 1 << 20);
  }

  bool exact_first = true;
  Calibrate calibrate = Calibrate::kHead;
  Direction direction = Direction::kVirtualToExact;
  int64_t guard = 0;
};

class Foretold : public Reconstruction {
 public:
  Foretold(const EchoRule& rule, const std::vector<int32_t>& context, const ContextFrame& frame)
      : rule_(rule),
        n_tokens_(std::ssize(context)),
        n_head_(frame.n_head),
        repeats_(repeats_of(context, frame, rule.chunk_size, /*fit_first=*/true)) {}

  void add_layer(const LayerView& layer) override {
    at::Tensor scores =
        at::zeros({layer.n_kv_heads(), n_tokens_}, layer.keys.options().dtype(at::kFloat));
    for (const Repeat& repeat : repeats_) {
      scores.narrow(1, repeat.begin, repeat.end - repeat.begin)
          .copy_(virtual_repeat_scores(layer, repeat, rule_.sinks));
    }
    scores_.push_back(scores);
  }

  std::vector<std::vector<int32_t>> passes() const override {
    if (!rule_.exact_first || repeats_.empty()) return {};
    return {repeats_.front().ids};
  }

  void observe(size_t, const LayerView& layer, const at::Tensor&) override {
    exact_.push_back(repeat_scores(layer, repeats_.front(), rule_.sinks));
  }

  std::vector<at::Tensor> scores() override {
    if (!exact_.empty()) replace_first();
    for (const Repeat& repeat : repeats_) {
      const int64_t n = std::min(rule_.guard, n_tokens_ - repeat.begin);
      for (at::Tensor& layer : scores_) layer.narrow(1, repeat.begin, n).fill_(1);
    }
    raise_first(scores_, rule_, n_head_);
    return std::move(scores_);
  }

 private:
  // The first chunk's scores are the exact ones, and all are on one scale.
  void replace_first() {
    const int64_t begin = repeats_.front().begin, end = repeats_.front().end;
    at::Tensor all = at::stack(scores_);  // [L, H, T]
    const at::Tensor exact = at::stack(exact_), foretold = all.slice(2, begin, end).clone();
    all.slice(2, begin, end).copy_(exact);
    if (rule_.calibrate != Calibrate::kNone && repeats_.size() > 1) {
      const bool to_exact = rule_.direction == Direction::kVirtualToExact;
      at::Tensor mapped = to_exact ? all.slice(2, end) : all.slice(2, begin, end);
      const int64_t n_layers = all.size(0), n_heads = all.size(1);
      const int64_t n_maps = rule_.calibrate == Calibrate::kGlobal  ? 1
                             : rule_.calibrate == Calibrate::kLayer ? n_layers
                                                                    : n_layers * n_heads;
      const auto rows = [&](const at::Tensor& x) { return x.reshape({n_maps, -1}); };
      mapped.copy_(quantile_map(rows(to_exact ? foretold : exact),
                                rows(to_exact ? exact : foretold), rows(mapped))
                       .view(mapped.sizes()));
    }
    scores_ = all.unbind();
  }

  EchoRule rule_;
  int64_t n_tokens_, n_head_;
  std::vector<Repeat> repeats_;
  std::vector<at::Tensor> scores_, exact_;  // [L] of [H, T] and of the first chunk
};

class Echo : public Scorer {
 public:
  explicit Echo(Params& p) : rule_(p) {}

  at::Tensor score(const LayerView& layer) const override { return reconstructed(layer, "echo"); }

  bool reconstructs() const override { return true; }

  int64_t about_read_again(int64_t n_tokens) const override {
    return rule_.exact_first ? std::min(n_tokens, rule_.chunk_size) : 0;
  }

  std::unique_ptr<Reconstruction> reconstruct(const std::vector<int32_t>& context,
                                              const ContextFrame& frame) const override {
    return std::make_unique<Foretold>(rule_, context, frame);
  }

 private:
  EchoRule rule_;
};

KVB_REGISTER_SCORER("echo", Echo, "KVzip's scores foretold from the prefill, one chunk repeated");

}  // namespace
}  // namespace kvbench
