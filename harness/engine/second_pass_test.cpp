// Passes behind a prefilled context, on small random models: what they read is what one prefill of
// context and pass reads.
#include "harness/engine/second_pass.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>

#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/generate.h"
#include "harness/engine/observed_context.h"
#include "harness/engine/tiny_model.h"
#include "policies/repeats.h"

namespace kvbench {
namespace {

constexpr const char* kKvzip = "{scorer: {name: kvzip, chunk_size: 40}, allocator: uniform}";

// Scores of each layer by scorer, as compress_context() tells them.
using Scores = std::map<std::string, std::vector<at::Tensor>>;

Compressed cut(const Decoder& model, const std::vector<int32_t>& context,
               const std::vector<PolicyAtRatio>& policies, Scores* scores = nullptr,
               const ContextFrame& frame = some_frame()) {
  CompressOptions options;
  options.keep_positions = true;
  options.frame = frame;
  if (scores != nullptr) {
    options.on_scores = [scores](const std::string& scorer, int64_t, const at::Tensor& layer) {
      (*scores)[scorer].push_back(layer);
    };
  }
  return compress_context(model, context, policies, options);
}

// Of every budgeted layer, for each repeat, by a prefill of context and repeat as one text.
std::vector<at::Tensor> by_prefills(const Decoder& model, const std::vector<int32_t>& context,
                                    const std::vector<Repeat>& repeats) {
  const auto n_tokens = std::ssize(context);
  std::vector<at::Tensor> scores;
  for (const Repeat& repeat : repeats) {
    std::vector<int32_t> all = context;
    all.insert(all.end(), repeat.ids.begin(), repeat.ids.end());
    model.prefill(all, [&](const LayerView& whole) {
      if (whole.window > 0) return;
      if (std::ssize(scores) <= whole.index) {
        scores.push_back(at::zeros({whole.n_kv_heads(), n_tokens}));
      }
      LayerView pass = whole;
      pass.queries = whole.queries.narrow(1, n_tokens, repeat.n_tokens());
      scores[whole.index]
          .narrow(1, repeat.begin, repeat.end - repeat.begin)
          .copy_(repeat_scores(pass, repeat, 4));
    });
  }
  return scores;
}

void expect_near(const std::vector<at::Tensor>& got, const std::vector<at::Tensor>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t l = 0; l < got.size(); ++l) {
    const auto ranked = [](const at::Tensor& x) { return x.narrow(1, 4, x.size(1) - 4); };
    EXPECT_LE((ranked(got[l]) - ranked(want[l])).abs().max().item<float>(), 2e-5) << "layer " << l;
  }
}

TEST(SecondPass, ReadsWhatAPrefillOfBothReads) {
  const Policy kvzip(parse_policy_text(kKvzip));
  const auto context = some_tokens(100);
  Scores scores;
  const Compressed made = cut(tiny_model(), context, {{&kvzip, 0.5}}, &scores);
  ASSERT_EQ(made.caches[0].error, "");
  const auto repeats = repeats_of(context, some_frame(), 40, /*fit_first=*/false);
  ASSERT_EQ(repeats.size(), 3u);
  expect_near(scores.at(kvzip.scorer()), by_prefills(tiny_model(), context, repeats));
  int64_t n_read = 0;
  for (const Repeat& repeat : repeats) n_read += repeat.n_tokens();
  EXPECT_EQ(made.caches[0].score_tokens, n_read);
  EXPECT_GT(made.caches[0].score_ms, 0);
  EXPECT_EQ(made.caches[0].cache->next_position(), 100);  // nothing of the passes stays
  const int64_t whole = tiny_model().kv_bytes(100);
  EXPECT_GT(made.caches[0].peak_kv_bytes, whole + whole / 2);
}

// Layers with a window are read through, and what they hold afterwards is as without any pass.
TEST(SecondPass, GoesThroughWindowedLayers) {
  const Decoder model(
      std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata/gemma3_text", at::kFloat,
      at::kCPU);
  const Policy kvzip(
      parse_policy_text("{scorer: {name: kvzip, chunk_size: 5}, allocator: uniform}")),
      knorm(parse_policy_text("knorm"));
  // The model has 32 positions: requests of few words.
  const ContextFrame frame = {3, {5, 6}, [](const std::string&) {
                                return std::vector<int32_t>{7, 8};
                              }};
  const auto context = some_tokens(12);
  Scores scores;
  const Compressed made = cut(model, context, {{&kvzip, 0.5}, {&knorm, 0.5}}, &scores, frame);
  ASSERT_EQ(made.caches[0].error, "");
  const auto repeats = repeats_of(context, frame, 5, /*fit_first=*/false);
  ASSERT_EQ(repeats.size(), 2u);
  expect_near(scores.at(kvzip.scorer()), by_prefills(model, context, repeats));
  for (int64_t slot = model.config().n_budgeted_layers(); slot < model.config().n_layers; ++slot) {
    const auto &ours = made.caches[0].cache->layer(slot),
               &others = made.caches[1].cache->layer(slot);
    EXPECT_TRUE(at::equal(ours.keys, others.keys));
    EXPECT_EQ(ours.lengths, others.lengths);
  }
}

// Policies of one scorer share its passes, beside others and alone they give the same.
TEST(SecondPass, IsSharedByPoliciesOfOneScorer) {
  const Policy kvzip(parse_policy_text(kKvzip)), knorm(parse_policy_text("knorm")),
      ada(parse_policy_text("{scorer: {name: kvzip, chunk_size: 40}, allocator: ada}")),
      echo(parse_policy_text("{scorer: {name: echo, chunk_size: 70}, allocator: global}"));
  const auto context = some_tokens(150);
  const std::vector<PolicyAtRatio> asked = {{&kvzip, 0.5}, {&knorm, 0.5}, {&ada, 0.8},
                                            {&echo, 0.5},  {&kvzip, 0.9}, {&kvzip, 0}};
  Scores scores;
  const Compressed together = cut(tiny_model(), context, asked, &scores);
  for (const auto& [scorer, layers] : scores) {
    EXPECT_EQ(std::ssize(layers), tiny_model().config().n_layers) << scorer;
  }
  for (size_t i = 0; i < asked.size(); ++i) {
    const Compressed alone = cut(tiny_model(), context, {asked[i]});
    ASSERT_EQ(together.caches[i].error, "") << i;
    EXPECT_EQ(together.caches[i].keep_counts, alone.caches[0].keep_counts) << i;
    for (size_t l = 0; l < alone.caches[0].kept.size(); ++l) {
      EXPECT_EQ(together.caches[i].kept[l].positions, alone.caches[0].kept[l].positions) << i;
    }
    if (asked[i].policy == &knorm) {
      EXPECT_EQ(together.caches[i].score_tokens, 0);
    }
  }
  EXPECT_EQ(together.caches[0].score_tokens, together.caches[4].score_tokens);
  EXPECT_EQ(cut(tiny_model(), context, {{&kvzip, 0}}).caches[0].score_tokens, 0);  // none is needed
  EXPECT_EQ(together.caches[3].score_tokens, 70);
}

// KVzip and KVzip+ read the same ids: once for both, each with the scores and the cost that it has
// alone. Other chunks are other passes.
TEST(SecondPass, IsSharedByScorersOfTheSamePasses) {
  const Policy kvzip(parse_policy_text(kKvzip)),
      plus(parse_policy_text(
          "{scorer: {name: kvzip, chunk_size: 40, normalization: plus}, allocator: uniform}")),
      other(parse_policy_text("{scorer: {name: kvzip, chunk_size: 50}, allocator: uniform}"));
  const auto context = some_tokens(100);
  struct Read {
    int64_t n_tokens = 0;
    std::map<const Policy*, std::vector<at::Tensor>> scores;
    std::map<const Policy*, int64_t> cost;
  };
  const auto read = [&](const std::vector<const Policy*>& policies) {
    SecondPass second(tiny_model(), context, policies, some_frame());
    tiny_model().prefill(context, [&](const LayerView& layer) { second.add_layer(layer); });
    second.run();
    Read made{second.tokens_read(), {}, {}};
    for (const Policy* policy : policies) {
      made.cost[policy] = second.cost(policy->scorer()).tokens;
      for (const LayerView& layer : second.layers(policy->scorer())) {
        made.scores[policy].push_back(layer.reconstruction);
      }
    }
    return made;
  };
  const Read all = read({&kvzip, &plus, &other});
  EXPECT_EQ(all.n_tokens, all.cost.at(&kvzip) + all.cost.at(&other));
  for (const Policy* policy : {&kvzip, &plus, &other}) {
    const Read alone = read({policy});
    EXPECT_EQ(alone.n_tokens, all.cost.at(policy));
    for (size_t l = 0; l < alone.scores.at(policy).size(); ++l) {
      EXPECT_TRUE(at::equal(all.scores.at(policy)[l], alone.scores.at(policy)[l])) << l;
    }
  }
}

TEST(SecondPass, FailsAlone) {
  const Policy kvzip(parse_policy_text(kKvzip)), knorm(parse_policy_text("knorm")),
      echo(parse_policy_text("{scorer: {name: echo, exact_first: false, calibrate: none}, "
                             "allocator: uniform}"));
  // The context fits the model, its repeat does not stand behind it any more.
  const auto long_context = some_tokens(2040);
  const Compressed made =
      cut(tiny_model(), long_context, {{&kvzip, 0.5}, {&knorm, 0.5}, {&echo, 0.5}});
  EXPECT_NE(made.caches[0].error.find("read again behind a context of 2040"), std::string::npos)
      << made.caches[0].error;
  EXPECT_EQ(made.caches[0].cache, nullptr);
  EXPECT_EQ(made.caches[1].error, "");
  EXPECT_EQ(made.caches[2].error, "");  // reads nothing again
  const Compressed wordless =
      compress_context(tiny_model(), some_tokens(60), {{&kvzip, 0.5}, {&knorm, 0.5}}, {});
  EXPECT_NE(wordless.caches[0].error.find("needs a tokenizer"), std::string::npos)
      << wordless.caches[0].error;
  EXPECT_EQ(wordless.caches[1].error, "");
}

TEST(SecondPass, ServesProfilesToo) {
  const Policy kvzip(parse_policy_text(kKvzip)), knorm(parse_policy_text("knorm"));
  const auto context = some_tokens(100);
  const ObservedContext observed(tiny_model(), context, {&knorm, &kvzip}, lukv::OracleNorm::kLayer,
                                 0, some_frame());
  Scores scores;
  cut(tiny_model(), context, {{&kvzip, 0.5}, {&knorm, 0.5}}, &scores);
  EXPECT_TRUE(at::equal(observed.scores(0), at::stack(scores.at(knorm.scorer()))));
  EXPECT_TRUE(at::equal(observed.scores(1), at::stack(scores.at(kvzip.scorer()))));
}

}  // namespace
}  // namespace kvbench
