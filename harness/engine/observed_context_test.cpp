// Importance gathered while decoding against the same sums over one pass of the whole text.
#include "harness/engine/observed_context.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "harness/config/policy_yaml.h"

namespace kvbench {
namespace {

constexpr int64_t kContext = 21, kSteps = 4;
const std::vector<int32_t> kQuestion = {7, 30, 2}, kAnswer = {11, 4, 90, 55};

std::vector<int32_t> context_ids() {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < kContext; ++i) ids.push_back((i * 37 + 5) % 96);
  return ids;
}

Policy keydiff() { return Policy(parse_policy_text("{scorer: keydiff, allocator: uniform}")); }

// From the queries of all tokens at once: rows of the decoded tokens, columns of the context.
at::Tensor importance_by_prefill(const Decoder& model, lukv::OracleNorm norm) {
  std::vector<int32_t> all = context_ids();
  for (const auto* ids : {&kQuestion, &kAnswer}) all.insert(all.end(), ids->begin(), ids->end());
  const auto n_all = static_cast<int64_t>(all.size());
  std::vector<at::Tensor> layers;
  model.prefill(all, [&](const LayerView& layer) {
    LayerView context = layer;
    context.values = layer.values.narrow(1, 0, kContext);
    context.keys = layer.keys.narrow(1, 0, kContext);
    const at::Tensor norms = lukv::value_norms(context, norm);  // [Hq, T]
    const int64_t group = norms.size(0) / layer.n_kv_heads();
    const at::Tensor logits =
        at::matmul(layer.queries, layer.keys.repeat_interleave(group, 0).transpose(1, 2)) *
        layer.attention_scale;
    const at::Tensor future = at::ones({n_all, n_all}, at::kBool).triu(1);
    const at::Tensor weights = logits.masked_fill(future, -INFINITY).softmax(-1);
    const at::Tensor worth = weights.narrow(1, n_all - kSteps, kSteps).narrow(2, 0, kContext) *
                             norms.unsqueeze(1);  // [Hq, steps, T]
    layers.push_back(worth.amax(1).unflatten(0, {-1, group}).amax(1));
  });
  return at::stack(layers);
}

class ObservedContextTest : public testing::TestWithParam<const char*> {
 protected:
  Decoder model_{std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata" / GetParam(),
                 at::kFloat, at::kCPU};
};

TEST_P(ObservedContextTest, ImportanceIsThatOfTheWholeText) {
  const auto forced = [](int64_t step, const at::Tensor&) { return int64_t{kAnswer[step]}; };
  const auto same = [](int64_t, const at::Tensor&) { return int64_t{3}; };
  for (const auto norm : {lukv::OracleNorm::kLayer, lukv::OracleNorm::kNone}) {
    ObservedContext observed(model_, context_ids(), {}, norm, 0);
    const auto ask = [&] {
      return ObservedContext::importance({{&observed, kQuestion, forced}}, kSteps)[0];
    };
    const at::Tensor importance = ask();
    const at::Tensor want = importance_by_prefill(model_, norm);
    EXPECT_TRUE(at::allclose(importance, want, 1e-4, 1e-9));
    ObservedContext::importance({{&observed, {1, 2}, same}}, 70);
    EXPECT_TRUE(at::equal(ask(), importance));
    // Another context beside it, longer and with another question, changes nothing.
    std::vector<int32_t> longer = context_ids();
    longer.insert(longer.end(), 9, 13);
    ObservedContext other(model_, longer, {}, norm, 0);
    const auto both = ObservedContext::importance(
        {{&other, {1, 2}, same}, {&observed, kQuestion, forced}}, kSteps);
    EXPECT_TRUE(at::allclose(both[1], want, 1e-4, 1e-9));
  }
}

TEST_P(ObservedContextTest, ScoresAreTheScorers) {
  const Policy policy = keydiff();
  const ObservedContext observed(model_, context_ids(), {&policy}, lukv::OracleNorm::kLayer, 0);
  int64_t n_layers = 0;
  model_.prefill(context_ids(), [&](const LayerView& layer) {
    EXPECT_TRUE(at::equal(observed.scores(0)[layer.index], policy.score(layer).scores));
    ++n_layers;
  });
  EXPECT_EQ(observed.scores(0).size(0), n_layers);
}

INSTANTIATE_TEST_SUITE_P(Models, ObservedContextTest, testing::Values("llama2", "llama31", "qwen3"),
                         [](const auto& model) { return std::string(model.param); });

}  // namespace
}  // namespace kvbench
