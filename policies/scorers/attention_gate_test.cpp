// Attention gates by their formula in plain loops, and for which model they are.
#include <gtest/gtest.h>

#include "harness/base/test_util.h"
#include "policies/gates/attention_gates.h"
#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

constexpr ModelShape kModel = {2, 2, 4, 24};  // random_view()'s, with another layer
constexpr int64_t kWidth = 4;

class AttentionGateTest : public ::testing::Test {
 protected:
  AttentionGateTest() { write_attention_gates(path_, kModel, random_gate_values(), kWidth); }

  std::unique_ptr<Scorer> gate() const {
    return testing::scorer("attention_gate", {{"gate", path_.string()}});
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "gates.safetensors";
};

// Head by head, token by token, in double; every token sees all others, later ones too.
TEST_F(AttentionGateTest, IsTheFormula) {
  constexpr int64_t kTokens = 300;  // more than one block
  const GateValues values = random_gate_values();
  std::map<std::string, at::Tensor> of;
  for (int64_t l = 0; l < 2; ++l) {  // the second layer's stay
    for (const char* name : {"q_proj.weight", "k_proj.weight", "v_proj.weight"}) {
      of[name] = at::tensor(values(l, name, 2 * kWidth * 24)).view({2, kWidth, 24}).to(at::kDouble);
    }
    of["o_proj.weight"] = at::tensor(values(l, "o_proj.weight", 2 * kWidth)).view({2, kWidth});
    of["o_proj.bias"] = at::tensor(values(l, "o_proj.bias", 2));
  }
  LayerView layer = testing::random_view(kTokens);
  layer.index = 1;
  const at::Tensor got = gate()->score(layer);
  const at::Tensor x = layer.hidden_states.to(at::kDouble);
  const auto project = [&](const char* name, int64_t h, int64_t t) {
    return at::mv(of[name][h], x[t]);
  };
  for (int64_t h = 0; h < 2; ++h) {
    for (const int64_t t : {0, 100, 255, 256, 299}) {
      const at::Tensor q = project("q_proj.weight", h, t);
      std::vector<double> weights;
      double sum = 0;
      for (int64_t s = 0; s < kTokens; ++s) {
        weights.push_back(std::exp(q.dot(project("k_proj.weight", h, s)).item<double>() / 2));
        sum += weights.back();
      }
      at::Tensor seen = project("v_proj.weight", h, t);
      for (int64_t s = 0; s < kTokens; ++s) {
        seen = seen + project("v_proj.weight", h, s) * (weights[s] / sum);
      }
      const double logit = seen.dot(of["o_proj.weight"][h].to(at::kDouble)).item<double>() +
                           of["o_proj.bias"][h].item<double>();
      EXPECT_NEAR(got[h][t].item<double>(), 1 / (1 + std::exp(-logit)), 1e-5) << h << " " << t;
    }
  }
}

TEST_F(AttentionGateTest, IsForItsModelOnly) {
  const auto refused = [&](ModelShape model) { return error_of([&] { gate()->validate(model); }); };
  EXPECT_EQ(refused(kModel), "");
  EXPECT_EQ(refused({2, 2, 8, 24}), "");  // a gate is a KV head's
  EXPECT_NE(refused({3, 2, 4, 24}).find("2 layers of full attention, the model has 3"),
            std::string::npos);
  EXPECT_NE(refused({2, 4, 4, 24}).find("2 KV heads"), std::string::npos);
  EXPECT_NE(refused({2, 2, 4, 32}).find("24 hidden values"), std::string::npos);
  EXPECT_NE(
      error_of([] { testing::scorer("attention_gate")->validate(kModel); }).find("train-gate"),
      std::string::npos);
  write_gates(path_, kModel, random_gate_values());
  EXPECT_EQ(error_of([&] { gate(); }), path_.string() +
                                           ": tensor layers.0.o_proj.weight is missing: expected "
                                           "the gates of a model");
}

// What stays of a cut layer is not the context that the gates have seen.
TEST_F(AttentionGateTest, IsOfAWholeContext) {
  LayerView layer = testing::random_view(9);
  layer.hidden_states = layer.hidden_states.narrow(0, 4, 5);
  EXPECT_THROW(gate()->score(layer), InputError);
  EXPECT_FALSE(gate()->decode_needs());
}

}  // namespace
}  // namespace kvbench
