// The training data of gates against the model's own prefill and scorers.
#include "harness/profile/gate_data.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>

#include "harness/base/error.h"
#include "harness/base/test_util.h"
#include "harness/config/policy_yaml.h"
#include "harness/engine/tiny_model.h"

namespace kvbench {
namespace {

class GateData : public testing::Test {
 protected:
  GateData() {
    for (const int64_t n_tokens : {40, 30}) {
      contexts_.push_back({some_tokens(n_tokens, n_tokens + 1), {some_tokens(5), some_tokens(7)}});
    }
    config_.decode_steps = 3;
  }

  void write(const std::string& scorer) {
    config_.target.name = scorer;
    const Policy target(
        parse_policy_text(fmt::format("{{scorer: {}, allocator: uniform}}", scorer)));
    write_gate_data(config_, tiny_model(), target, contexts_, {}, folder_, {});
  }

  // [70, columns]
  at::Tensor read(const std::string& name, int64_t columns, at::ScalarType type) const {
    const at::Tensor values = at::empty({70, columns}, type);
    std::ifstream in(folder_ / name, std::ios::binary);
    in.read(static_cast<char*>(values.mutable_data_ptr()),
            static_cast<std::streamsize>(values.nbytes()));
    EXPECT_EQ(in.gcount(), static_cast<std::streamsize>(values.nbytes()));
    EXPECT_EQ(in.peek(), std::char_traits<char>::eof());
    return values;
  }
  // Of both layers and one context, [L, T, H].
  at::Tensor targets(int64_t first, int64_t n_tokens) const {
    return at::stack({read("target.0", 2, at::kFloat), read("target.1", 2, at::kFloat)})
        .narrow(1, first, n_tokens);
  }

  TemporaryFolder temporary_;
  std::filesystem::path folder_ = temporary_.path();
  std::vector<ProfileContext> contexts_;
  GateConfig config_;
};

TEST_F(GateData, HiddenStatesAreThoseOfThePrefill) {
  write("knorm");
  const auto check = [&](const LayerView& layer) {
    const at::Tensor stored =
        read(fmt::format("hidden.{}", layer.index), layer.hidden_states.size(1), at::kBFloat16);
    EXPECT_TRUE(at::equal(stored.narrow(0, 40, 30), layer.hidden_states.to(at::kBFloat16)));
  };
  tiny_model().prefill(contexts_[1].tokens, check, /*hidden_states=*/true);
  EXPECT_FALSE([] {
    bool defined = false;
    tiny_model().prefill(some_tokens(5),
                         [&](const LayerView& layer) { defined |= layer.hidden_states.defined(); });
    return defined;
  }());
}

// Every place of a context once, in the order of the scores of all its layers and heads, ties by
// place.
TEST_F(GateData, RanksGoOverLayersAndHeads) {
  write("knorm");
  const at::Tensor ranks = targets(0, 40).transpose(1, 2).flatten();
  const auto n = ranks.numel();
  EXPECT_LT((std::get<0>(ranks.sort()) - (at::arange(n) + 0.5) / n).abs().max().item<double>(),
            1e-6);
  const Policy knorm(parse_policy_text("{scorer: knorm, allocator: uniform}"));
  std::vector<at::Tensor> scores;
  tiny_model().prefill(contexts_[0].tokens, [&](const LayerView& layer) {
    scores.push_back(knorm.score(layer).scores);
  });
  const at::Tensor order =
      at::stack(scores).flatten().argsort(/*stable=*/true, /*dim=*/0, /*descending=*/false);
  EXPECT_TRUE(at::equal(ranks.argsort(), order));
}

TEST_F(GateData, AnOracleIsAskedAllQuestions) {
  write("oracle");
  const at::Tensor both = targets(40, 30);
  contexts_[1].questions.pop_back();
  write("oracle");
  EXPECT_FALSE(at::equal(targets(40, 30), both));
}

TEST_F(GateData, ValuesAreTakenAsTheyAre) {
  config_.ranked = false;
  write("observed_attention");
  const at::Tensor shares = targets(0, 70);
  EXPECT_GE(shares.min().item<double>(), 0);
  EXPECT_LE(shares.max().item<double>(), 1);
  EXPECT_THROW(write("knorm"), InputError);
}

}  // namespace
}  // namespace kvbench
