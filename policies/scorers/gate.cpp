// Learned gates, asked once for every token: Fast KVzip (Kim et al., arXiv 2601.17668; kvpress
// 0.5.5, FastKVzipPress; decode_policies.md 5) and any gate of that architecture.
#include <ATen/ATen.h>

#include <algorithm>

#include "policies/gates/gate_option.h"
#include "policies/gates/gates.h"

namespace kvbench {
namespace {

class Gate : public Scorer {
 public:
  explicit Gate(Params& p)
      : gates_(p, "safetensors file of a gate for each layer, as train-gate writes it") {
    p.get("sinks", sinks_, "first tokens of the text: their score is 1");
    p.get("window", window_, "latest tokens: their score is 1 as well; 0 = as share says");
    p.get("share", share_,
          "of the tokens are the window, rounded down but 1 or more; 4096 of 32000 or more");
    p.get("bias_times", bias_times_, "factor of b; the authors' training adds b twice");
    p.require_range("sinks", static_cast<double>(sinks_), 0, 1 << 20);
    p.require_range("window", static_cast<double>(window_), 0, 1 << 20);
    p.require_range("share", share_, 0, 1);
  }

  void validate(const ModelShape& model) const override { gates_->require_model(model); }
  bool reads_hidden_states() const override { return true; }

  // Scores of all T tokens, the sinks' 1; those behind `before` are the ones of the hidden states.
  at::Tensor carry(const LayerView& layer, const at::Tensor& before) const override {
    const int64_t n_known = before.defined() ? before.size(1) : 0;
    const int64_t n_new = layer.n_tokens() - n_known;
    if (n_new == 0) return before;
    if (!layer.hidden_states.defined() || layer.hidden_states.size(0) != n_new) {
      throw InputError("gate: the hidden states of the tokens are no longer there");
    }
    at::Tensor scores = gates_->scores(layer.index, layer.hidden_states, layer.head,
                                       layer.n_kv_heads(), static_cast<double>(bias_times_));
    int64_t n_sinks = 0;
    while (n_sinks < n_new && layer.position(0, n_known + n_sinks) < sinks_) ++n_sinks;
    scores.narrow(1, 0, n_sinks).fill_(1);
    return before.defined() ? at::cat({before, scores}, 1) : scores;
  }

  // The window's tokens are 1 as long as they are in it.
  at::Tensor rank(const LayerView& layer, const at::Tensor& carried) const override {
    const int64_t n_tokens = layer.n_tokens();
    const int64_t window = std::min(n_tokens, window_of(n_tokens));
    at::Tensor scores = carried.clone();
    scores.narrow(1, n_tokens - window, window).fill_(1);
    return scores;
  }

  at::Tensor score(const LayerView& layer) const override { return rank(layer, carry(layer, {})); }

  std::optional<DecodeNeeds> decode_needs() const override {
    return DecodeNeeds{.every_step = true};
  }

 private:
  int64_t window_of(int64_t n_tokens) const {
    constexpr int64_t kLong = 32000, kOfLong = 4096;
    if (window_ > 0) return window_;
    if (n_tokens >= kLong) return kOfLong;
    return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(n_tokens) * share_));
  }

  int64_t sinks_ = 4, window_ = 0, bias_times_ = 1;
  double share_ = 0.02;
  GateOption<Gates> gates_;
};

KVB_REGISTER_SCORER("gate", Gate, "a learned gate on each token's hidden state (Fast KVzip)");

}  // namespace
}  // namespace kvbench
