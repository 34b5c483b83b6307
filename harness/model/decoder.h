// The forward pass of a decoder on LibTorch: Llama 2 and 3.x, Mistral, Qwen 2, 2.5 and 3, SmolLM2,
// Gemma 3. One code path; ModelConfig's switches are its only differences.
//
// What a sequence gets depends neither on the other sequences of a batch nor on the number of
// threads (on a CPU): every product and sum of a row has one order.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "harness/base/progress.h"
#include "harness/cache/decode_batch.h"
#include "harness/model/buffers.h"
#include "harness/model/linear.h"
#include "harness/model/model_config.h"
#include "harness/model/rope.h"
#include "policies/scorer.h"

namespace kvbench {

class Weights;

// The ids of one sequence as extend() takes them, int64 [1, m].
at::Tensor token_ids(std::span<const int32_t> tokens);

class Decoder {
 public:
  // Throws InputError when the folder is not a supported model (config.json, safetensors).
  // dtype: float32, bfloat16 or float16; weights are converted while loading, and each is in memory
  // once. `progress` is told
  // of every layer of a large model.
  Decoder(const std::filesystem::path& model_dir, at::ScalarType dtype, c10::Device device,
          const StartProgress& progress = {});

  const ModelConfig& config() const { return config_; }
  at::ScalarType dtype() const { return dtype_; }
  c10::Device device() const { return device_; }
  int64_t weight_bytes() const;
  // Of those what a decode step reads: of an embedding that is not the head's weight too it is a
  // row a token.
  int64_t step_weight_bytes() const;
  // Keys and values of `n_tokens` tokens in every layer and KV head, nothing removed; of a layer
  // that is not budgeted those that the next token sees.
  int64_t kv_bytes(int64_t n_tokens) const { return kv_bytes(n_tokens, n_tokens); }
  // The same with n_kept tokens in every budgeted layer.
  int64_t kv_bytes(int64_t n_tokens, int64_t n_kept) const;

  // Called after each layer's attention, in order, for those not budgeted too (LayerView::window);
  // the view is gone afterwards, so a layer's full keys and values live no longer than the observer
  // wants them.
  using Observer = std::function<void(const LayerView&)>;

  // One forward pass over a whole context with full causal attention. Returns the logits of the
  // last token, float32 [vocab]. Throws InputError when the context is longer than the model's
  // positions or holds an id outside the vocabulary. Without `hidden_states` views have none: they
  // would live on through the layer's attention. `attention`: of budgeted layers, in place of the
  // causal one.
  using Attention = std::function<at::Tensor(const LayerView&)>;  // [T, Hq, d], the model's dtype
  at::Tensor prefill(const std::vector<int32_t>& tokens, const Observer& observer,
                     bool hidden_states = false, const Attention& attention = {}) const;

  // Called after each budgeted layer's attention with its index among them, the queries
  // [S, m, Hq, d] after RoPE and the hidden states [S, m, D] that they were made of, both of which
  // the next layer's may overwrite; the new tokens' keys are in the caches, whose lengths do not
  // count them yet.
  using StepObserver =
      std::function<void(int64_t layer, const at::Tensor& queries, const at::Tensor& hidden)>;

  // The next m tokens of every sequence of a batch, token ids int64 [S, m] or, the same for all,
  // [1, m], appended to the caches. Returns the logits of the last of them, float32 [S, vocab], or
  // of all, [S, m, vocab]. When it throws, the caches hold what they held before.
  enum class Logits { kLast, kAll };
  at::Tensor extend(const at::Tensor& tokens, DecodeBatch& batch, Logits logits = Logits::kLast,
                    const StepObserver& observer = {}) const;

  // One next token of every sequence, chosen on the device, in two parts; DecodeBatch::advance(1)
  // ends it. The host's: room in the caches, angles in the buffers, which are of this batch alone.
  void prepare_step(DecodeBatch& batch, Buffers& buffers) const;
  // The device's: ids int64 [S], those below 0 taken for 0 (argmax_lowest() says -1 of NaN).
  // Allocates nothing but the buffers that are not there yet, and works on no host value that
  // changes from step to step, so that what it launches can be launched again (a CUDA graph, or
  // TeamProgram of a CPU; what is not an operator of ours goes through by_one_thread()),
  // unless waits_for_positions(). Returns float32 [S, vocab], in the buffers.
  at::Tensor step(const at::Tensor& ids, DecodeBatch& batch, Buffers& buffers,
                  const StepObserver& observer = {}) const;

  // Whether the host computes every step's angles: RoPE's dynamic scaling gives each sequence
  // frequencies of its own.
  bool waits_for_positions() const { return angles_ == nullptr; }

 private:
  struct Layer {
    at::Tensor attention_norm, q_norm, k_norm, mlp_norm;
    at::Tensor after_attention_norm, after_mlp_norm;  // Gemma 3
    Linear qkv, output, gate_up, down;
    int64_t window, cache_slot;
    bool is_budgeted, local_rope;
  };
  // What attention sees: [S, m, heads, d], and the hidden states [S, m, D] that it is made of.
  struct Projections {
    at::Tensor queries_prerope, queries, keys, values, hidden;
  };
  using Attend = std::function<at::Tensor(int64_t layer, Projections)>;

  at::Tensor load_norm(const Weights& weights, const std::string& name, int64_t size) const;
  Linear load_linear(const Weights& weights, const std::vector<std::string>& names,
                     const std::vector<int64_t>& out_sizes, int64_t in, bool has_bias) const;
  Layer load_layer(const Weights& weights, int64_t index, int64_t cache_slot) const;
  void check_room(int64_t end) const;
  void check_tokens(const at::Tensor& tokens) const;
  // Appends to the batch's caches, which have room.
  at::Tensor extend_batch(const at::Tensor& tokens, DecodeBatch& batch, Buffers& buffers,
                          Logits logits, const StepObserver& observer) const;
  // Positions [S, m] are below `end`.
  at::Tensor forward(const at::Tensor& tokens, const at::Tensor& positions, int64_t end,
                     Buffers& buffers, const Attend& attend, Logits logits) const;
  RopeAngles angles(bool local, const at::Tensor& positions, int64_t end, Buffers& buffers) const;
  Projections project(const Layer& layer, const at::Tensor& hidden, const RopeAngles& angles,
                      Buffers& buffers) const;
  at::Tensor mlp(const Layer& layer, const at::Tensor& hidden, Buffers& buffers) const;
  at::Tensor product(const Linear& linear, const at::Tensor& x, Buffers& buffers,
                     Buffers::Name name) const;
  at::Tensor norm(const at::Tensor& x, const at::Tensor& weight, Buffers& buffers,
                  Buffers::Name name) const;
  // The norm of hidden + change, which hidden becomes, contiguous and in place; of hidden where
  // there is no change yet.
  at::Tensor add_and_norm(const at::Tensor& hidden, const at::Tensor& change,
                          const at::Tensor& weight, Buffers& buffers) const;

  ModelConfig config_;
  at::ScalarType dtype_;
  c10::Device device_;
  at::Tensor final_norm_;
  Linear head_;
  at::Tensor embedding_;        // undefined where they are tied: the head's weight
  at::Tensor embedding_scale_;  // [], in the model's dtype
  // None where a sequence's length decides its frequencies, and where no layer is local.
  std::unique_ptr<RopeTable> angles_, local_angles_;
  std::vector<Layer> layers_;
};

}  // namespace kvbench
