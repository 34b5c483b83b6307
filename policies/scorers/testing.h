// What tests of scorers and weightings share.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "harness/base/test_util.h"
#include "policies/gates/test_gates.h"
#include "policies/scorer.h"

namespace kvbench::testing {

// A part made from a configuration's parameters, unknown ones refused.
template <class Part>
std::unique_ptr<Part> make_part(const std::string& name, std::vector<Params::Given> given = {}) {
  Params params(std::string(Part::kind()) + " " + name, "", std::move(given));
  auto part = Registry<Part>::instance().find(name).make(params);
  params.finish();
  return part;
}

inline std::unique_ptr<Scorer> scorer(const std::string& name,
                                      std::vector<Params::Given> given = {}) {
  return make_part<Scorer>(name, std::move(given));
}

// A layer of these keys [H, T, d] and queries [Hq, T, d], the latter with and without RoPE; values
// are the keys, W_O is the identity and the attention scale 1. RoPE turns nothing.
inline LayerView view_of(const at::Tensor& keys, const at::Tensor& queries) {
  LayerView view;
  view.n_layers = 1;
  view.keys = view.values = keys;
  view.queries = view.queries_prerope = queries;
  view.output_weight = at::eye(queries.size(0) * queries.size(2), keys.options());
  view.inverse_frequencies = at::zeros({keys.size(2) / 2});
  view.attention_scale = 1;
  return view;
}

// A layer of random values: 4 query heads on 2 KV heads.
inline LayerView random_view(int64_t n_tokens, int64_t d = 8) {
  at::manual_seed(n_tokens);
  LayerView view = view_of(at::randn({2, n_tokens, d}), at::randn({4, n_tokens, d}));
  view.queries_prerope = at::randn({4, n_tokens, d});
  view.values = at::randn({2, n_tokens, d});
  view.output_weight = at::randn({3 * d, 4 * d});
  view.inverse_frequencies = at::pow(100.0, -at::arange(0, d, 2, at::kFloat) / d);
  view.attention_scale = 0.5;
  view.hidden_states = at::randn({n_tokens, 3 * d});
  return view;
}

// A scorer with its defaults, and gates for random_view() where it needs them.
inline std::unique_ptr<Scorer> ready_scorer(const std::string& name) {
  static const auto gates = write_all_gates(process_folder() / "gates", {1, 2, 4, 24});
  return scorer(name, with_gates(name, gates));
}

// Causal attention weights of all queries, float64 [Hq, T, T], the plain way.
inline at::Tensor attention_weights(const LayerView& layer) {
  const int64_t n_tokens = layer.n_tokens(), group = layer.queries.size(0) / layer.n_kv_heads();
  const at::Tensor keys = layer.keys.to(at::kDouble).repeat_interleave(group, 0);
  const at::Tensor logits =
      at::matmul(layer.queries.to(at::kDouble), keys.transpose(1, 2)) * layer.attention_scale;
  const at::Tensor future = at::ones({n_tokens, n_tokens}, at::kBool).triu(1);
  return logits.masked_fill(future, -INFINITY).softmax(-1);
}

inline void expect_near(const at::Tensor& got, const at::Tensor& want, double tolerance) {
  ASSERT_EQ(got.sizes(), want.sizes());
  EXPECT_LE((got.to(at::kDouble) - want.to(at::kDouble)).abs().max().item<double>(), tolerance)
      << got << "\nexpected\n"
      << want;
}

}  // namespace kvbench::testing
