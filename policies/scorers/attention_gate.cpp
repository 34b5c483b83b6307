// Attention-Gate (arXiv 2410.12876) as far as it is published: gates that see the whole context say
// before a layer's attention what each head evicts (policies/gates/attention_gates.h). With
// allocator threshold and prefill: {attend: kept}, as the preset has it, the same prefill does not
// attend to what they evict; with any other it is a ranking like every one.

#include "policies/gates/attention_gates.h"
#include "policies/gates/gate_option.h"

namespace kvbench {
namespace {

class AttentionGate : public Scorer {
 public:
  explicit AttentionGate(Params& p)
      : gates_(p, "safetensors file of an attention gate for each layer, as train-gate writes it") {
  }

  void validate(const ModelShape& model) const override { gates_->require_model(model); }
  bool reads_hidden_states() const override { return true; }

  at::Tensor score(const LayerView& layer) const override {
    if (!layer.hidden_states.defined() || layer.hidden_states.size(0) != layer.n_tokens()) {
      throw InputError("attention_gate: the hidden states of the tokens are no longer there");
    }
    return gates_->scores(layer.index, layer.hidden_states);
  }

 private:
  GateOption<AttentionGates> gates_;
};

KVB_REGISTER_SCORER("attention_gate", AttentionGate,
                    "a learned gate that sees the whole context (the class of Attention-Gate)");

}  // namespace
}  // namespace kvbench
