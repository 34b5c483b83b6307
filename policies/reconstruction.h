// Scorers that have the model read tokens behind the prefilled context before they can rank its
// tokens. They say which, and what they make of it; the engine runs the passes
// (harness/engine/second_pass.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "policies/scorer.h"

namespace kvbench {

// What stands around a context in the prompt, and how words become ids.
struct ContextFrame {
  int64_t n_head = 0;         // first tokens of the context, which the chat template wrote
  std::vector<int32_t> tail;  // what it writes behind the user's text, with the next turn's head
  std::function<std::vector<int32_t>(const std::string&)> encode;  // empty: there is no tokenizer
};

// One context under way: fed by the engine layer by layer, then pass by pass.
class Reconstruction {
 public:
  virtual ~Reconstruction() = default;

  // A layer of the prefill as score() would see it, each in order.
  virtual void add_layer(const LayerView& /*layer*/) {}

  // The ids of each pass. All of them follow the whole context, at positions T, T + 1, ..., and
  // attend to all of it; none sees another one.
  virtual std::vector<std::vector<int32_t>> passes() const = 0;

  // Layer by layer of pass i, in the order of passes(): keys and values [H, T + q, d] of the
  // context and then of the pass, queries [Hq, q, d] of the pass; hidden [q, D], what its q tokens
  // bring into the layer's attention, behind the norm.
  virtual void observe(size_t pass, const LayerView& layer, const at::Tensor& hidden) = 0;

  // Scores of every layer, [L] of [H, T], as Scorer::score() gives them.
  virtual std::vector<at::Tensor> scores() = 0;
};

// LayerView::reconstruction, for score(). Throws InputError, by the scorer's name, where no pass
// was made.
at::Tensor reconstructed(const LayerView& layer, const std::string& name);

}  // namespace kvbench
