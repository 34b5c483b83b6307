// Fast KVzip's gates against kvpress's and the authors' code: REFERENCE/decode/fastkvzip_gate.h5.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "harness/base/test_util.h"
#include "harness/cache/decode_batch.h"
#include "harness/config/policy_yaml.h"
#include "harness/engine/eviction.h"
#include "harness/golden/decode_golden.h"
#include "policies/gates/test_gates.h"
#include "policies/policy.h"

namespace kvbench {
namespace {

using golden::DecodeGolden;
using golden::expect_relative;
using golden::read;

constexpr const char* kFile = "fastkvzip_gate.h5";

// The recorded gates as a file of ours, and what they are asked.
class Recorded {
 public:
  explicit Recorded(const h5::File& file) {
    const auto size = [&](const char* name) {
      return h5::read_attribute<int64_t>(file, "/", name);
    };
    n_layers = size("layers");
    n_heads = size("H");
    shape = {n_layers, n_heads, n_heads * size("G"), size("D")};
    const auto values = [&](int64_t layer, std::string name, int64_t) {
      std::replace(name.begin(), name.end(), '.', '_');
      return h5::read_array<float>(file, fmt::format("layer{}/{}", layer, name)).values;
    };
    write_gates(path_, shape, values, size("r"), size("sink"));
    hidden_states = read<float>(file, "hidden_states");
  }

  Policy policy(const std::string& more, const std::string& allocator) const {
    Policy made(
        parse_policy_text(fmt::format("{{scorer: {{name: gate, gate: \"{}\"{}}}, allocator: {}}}",
                                      path_.string(), more, allocator)));
    made.validate(shape);
    return made;
  }

  // A layer of the first n tokens; nothing but its hidden states matters.
  LayerView view(int64_t layer, int64_t n_tokens) const {
    LayerView view;
    view.index = layer;
    view.n_layers = n_layers;
    view.keys = view.values = at::zeros({n_heads, n_tokens, 8});
    view.queries = at::zeros({shape.n_query_heads, n_tokens, 8});
    view.output_weight = at::zeros({1, shape.n_query_heads * 8});
    view.hidden_states = hidden_states.narrow(0, 0, n_tokens);
    return view;
  }

  int64_t n_layers = 0, n_heads = 0;
  ModelShape shape;
  at::Tensor hidden_states;  // [T, D]

 private:
  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "gates.safetensors";
};

// Kept tokens as a mask, uint8 [H, T].
at::Tensor mask_of(const KeptTokens& kept, int64_t n_tokens) {
  at::Tensor mask = at::zeros({kept.n_kv_heads(), n_tokens}, at::kByte);
  for (int64_t h = 0; h < kept.n_kv_heads(); ++h) {
    for (int64_t i = kept.offsets[h]; i < kept.offsets[h + 1]; ++i) mask[h][kept.positions[i]] = 1;
  }
  return mask;
}

TEST_F(DecodeGolden, GateScores) {
  KVB_REQUIRE_GOLDEN(kFile);
  const h5::File file = open(kFile);
  const Recorded recorded(file);
  const int64_t n_tokens = recorded.hidden_states.size(0);
  for (const char* times : {"1", "2"}) {
    const Policy gate =
        recorded.policy(fmt::format(", sinks: 0, window: 1, bias_times: {}", times), "uniform");
    const char* name = *times == '1' ? "score" : "score_bias_twice";
    for (int64_t l = 0; l < recorded.n_layers; ++l) {
      // Without the one latest token, which has a score of its own.
      expect_relative(
          gate.score(recorded.view(l, n_tokens)).scores.narrow(1, 0, n_tokens - 1),
          read<float>(file, fmt::format("layer{}/{}", l, name)).narrow(1, 0, n_tokens - 1), 1e-6);
    }
  }
}

TEST_F(DecodeGolden, GateProtection) {
  KVB_REQUIRE_GOLDEN(kFile);
  const h5::File file = open(kFile);
  const Recorded recorded(file);
  const Policy gate = recorded.policy("", "uniform");
  int n_lengths = 0;
  for (const auto& name : h5::list(file)) {
    if (!name.starts_with("protected_")) continue;
    SCOPED_TRACE(name);
    const at::Tensor want = read<uint8_t>(file, name);
    for (int64_t l = 0; l < recorded.n_layers; ++l) {
      const at::Tensor scores = gate.score(recorded.view(l, want.size(2))).scores;
      EXPECT_TRUE(at::equal(scores.eq(1), want[l].to(at::kBool)));
    }
    ++n_lengths;
  }
  EXPECT_GT(n_lengths, 3);
}

TEST_F(DecodeGolden, GateKeepsTheSame) {
  KVB_REQUIRE_GOLDEN(kFile);
  const h5::File file = open(kFile);
  const Recorded recorded(file);
  const int64_t n_tokens = recorded.hidden_states.size(0);
  const Policy global = recorded.policy("", "{name: global, total: entries}");
  // All heads of a layer compete: AdaKV with nothing safe.
  const Policy layerwise = recorded.policy("", "{name: ada, alpha: 0, budget_rounding: exact}");
  for (const double ratio : {0.3, 0.9}) {
    std::vector<at::Tensor> scores;
    for (int64_t l = 0; l < recorded.n_layers; ++l) {
      scores.push_back(global.score(recorded.view(l, n_tokens)).scores);
    }
    const auto counts = global.allocate_layers(scores, ratio);
    for (int64_t l = 0; l < recorded.n_layers; ++l) {
      const LayerView view = recorded.view(l, n_tokens);
      for (const Policy* policy : {&global, &layerwise}) {
        const bool is_global = policy == &global;
        SCOPED_TRACE(fmt::format("{} {} layer {}", policy->allocator(), ratio, l));
        const KeepCounts kept = is_global ? counts[l] : policy->allocate(view, scores[l], ratio);
        const at::Tensor want =
            read<uint8_t>(file, fmt::format("kept_r{}_{}", ratio, is_global ? "global" : "layer"));
        EXPECT_TRUE(
            at::equal(mask_of(policy->select(view, scores[l], kept).on_host(), n_tokens), want[l]));
      }
    }
  }
}

// The authors' decode rule over its own prompt and stream, token by token.
TEST_F(DecodeGolden, GateWhileDecoding) {
  KVB_REQUIRE_GOLDEN(kFile);
  const h5::File file = open(kFile);
  const Recorded recorded(file);
  const auto given = [&](const char* name) {
    return h5::read_attribute<int64_t>(file, "decode", name);
  };
  const Policy gate = recorded.policy(
      fmt::format(", sinks: {}, window: {}", given("first_tokens"), given("window")),
      fmt::format("global, decode: {{when: seen, interval: {}, budget: {}}}",
                  given("divide_length"), given("budget")));
  const int64_t n_prompt = given("prompt"), n_tokens = recorded.hidden_states.size(0);
  Eviction eviction(gate, *gate.decode());
  KvCache cache(recorded.n_layers);
  for (int64_t l = 0; l < recorded.n_layers; ++l) {
    const LayerView view = recorded.view(l, n_prompt);
    cache.store(l, view.keys, view.values, on_device(eviction.add_layer(view), at::kCPU));
  }
  int64_t n_cuts = 0;
  const auto check = [&](int64_t n_seen) {
    const std::string group = fmt::format("decode/cut{}", n_cuts++);
    ASSERT_TRUE(h5::exists(file, group));
    EXPECT_EQ(n_seen, h5::read_attribute<int64_t>(file, group, "seen"));
    for (int64_t l = 0; l < recorded.n_layers; ++l) {
      const KeptTokens kept = eviction.kept(l);
      for (int64_t h = 0; h < recorded.n_heads; ++h) {
        SCOPED_TRACE(fmt::format("cut at {}, layer {}, head {}", n_seen, l, h));
        const auto want =
            h5::read_array<int32_t>(file, fmt::format("{}/positions_l{}_h{}", group, l, h)).values;
        EXPECT_EQ(std::vector<int64_t>(kept.positions.begin() + kept.offsets[h],
                                       kept.positions.begin() + kept.offsets[h + 1]),
                  std::vector<int64_t>(want.begin(), want.end()));
        EXPECT_EQ(cache.layer(l).lengths[h], std::ssize(want));
      }
    }
  };
  if (eviction.end_prefill(cache)) check(n_prompt);
  const c10::InferenceMode no_autograd;
  DecodeBatch batch({&cache});
  const at::Tensor rows = at::zeros({1, 1, recorded.n_heads, 8});
  const at::Tensor queries = at::zeros({1, 1, recorded.shape.n_query_heads, 8});
  for (int64_t t = n_prompt; t < n_tokens; ++t) {
    batch.reserve(1);
    batch.begin(1);
    for (int64_t l = 0; l < recorded.n_layers; ++l) {
      batch.append_and_attend(l, queries, rows, rows, 1, 0, {}, at::empty_like(queries));
      eviction.observe(l, queries[0], recorded.hidden_states.narrow(0, t, 1));
    }
    batch.advance(1);
    if (!eviction.end_step(cache)) continue;
    batch.expire();
    check(t + 1);
  }
  EXPECT_FALSE(h5::exists(file, fmt::format("decode/cut{}", n_cuts)));
  EXPECT_GT(n_cuts, 1);
}

}  // namespace
}  // namespace kvbench
