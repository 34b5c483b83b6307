// Logits, scores, kept sets and continuations against the arrays in REFERENCE/policies/*.h5, which
// kvpress 0.5.5 and transformers 5.2 made in float32. Files are found, not named; a policy or score
// that this version does not have is listed as not checked.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "harness/base/hdf5.h"
#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/fidelity.h"
#include "harness/engine/generate.h"
#include "harness/golden/golden.h"
#include "harness/model/decoder.h"
#include "kernels/window_scores/window_scores_torch.h"
#include "policies/attention_sums.h"
#include "policies/weighting.h"

namespace kvbench {
namespace {

// What the arrays' names mean (reference README); the sources of the settings are there too.
const std::map<std::string, std::string> kPolicies = {
    {"snapkv", "snapkv_kvpress"},
    {"snapkv_w32k7max", "snapkv"},
    {"keydiff", "keydiff"},
    {"streaming_llm", "streaming_llm"},
    {"expected_attention", "expected_attention"},
    {"expected_attention_e2",
     "{scorer: {name: expected_attention, eps: 0.02}, allocator: uniform}"},
    {"knorm", "knorm"},
    {"observed_attention", "observed_attention"},
    {"tova", "tova"},
    {"random_s42", "{scorer: {name: random, seed: 42, seed_per_layer: false}, allocator: uniform}"},
    {"pyramidkv",
     "{scorer: {name: snapkv, window: 64, kernel: 5, pooling: avg},"
     " allocator: {name: pyramid, window: 64, beta: 20}}"},
    {"pyramidkv_w8",
     "{scorer: {name: snapkv, window: 8, kernel: 5, pooling: avg},"
     " allocator: {name: pyramid, window: 8, beta: 20}}"},
    {"pyramidkv_w8_b5",
     "{scorer: {name: snapkv, window: 8, kernel: 5, pooling: avg},"
     " allocator: {name: pyramid, window: 8, beta: 5}}"},
    {"adakv_snapkv",
     "{scorer: {name: snapkv, window: 64, kernel: 5, pooling: avg}, allocator: ada}"},
    {"adakv_snapkv_w32k7max", "adakv"},
    {"adakv_expected_attention_e1",
     "{scorer: {name: expected_attention, eps: 0.01}, allocator: ada}"},
    {"adakv_keydiff", "{scorer: keydiff, allocator: ada}"},
    {"lukv_ea",
     "{scorer: {name: expected_attention, eps: 0.02}, protect: {sink: 4, recent: 1},"
     " allocator: {name: lukv, profile: LUKV_PROFILE, table: average/ea_sink4_win1}}"},
    {"lukv_snapkv",
     "{scorer: {name: snapkv, window: 32, kernel: 7, pooling: max}, protect: {sink: 4, recent: 32},"
     " allocator: {name: lukv, profile: LUKV_PROFILE, table: average/snapkv_sink4_win32}}"},
    {"lukv_keydiff",
     "{scorer: keydiff, protect: {sink: 4, recent: 1},"
     " allocator: {name: lukv, profile: LUKV_PROFILE, table: average/keydiff_sink4_win1}}"},
};

// The policy of an array; none when it is unknown here, when a part of it is not registered, or
// when the profile that it reads was left out of the reference set.
std::optional<Policy> find_policy(const std::string& name) {
  const auto known = kPolicies.find(name);
  if (known == kPolicies.end()) return std::nullopt;
  std::string text = known->second;
  if (const size_t at = text.find("LUKV_PROFILE"); at != std::string::npos) {
    const auto profile = golden::reference_root() / "policies/lukv_profile.h5";
    if (!std::filesystem::exists(profile)) return std::nullopt;
    text.replace(at, std::strlen("LUKV_PROFILE"), fmt::format("\"{}\"", profile.string()));
  }
  const PolicySpec spec = parse_policy_text(text);
  const auto scorers = Registry<Scorer>::instance().names();
  if (std::find(scorers.begin(), scorers.end(), spec.scorer.name) == scorers.end()) {
    return std::nullopt;
  }
  return Policy(spec);
}

// Score arrays, the policy whose scorer makes them, and how many last and first tokens are
// protected there. Some arrays leave the last ones out.
struct ScoreArray {
  std::string policy;
  int64_t window;
  double tolerance;  // relative to the largest value of the layer
  int64_t sink = 0;
};
ScoreArray snapkv_variant(const std::string& group_reduce) {
  return {fmt::format("{{scorer: {{name: snapkv, group_reduce: {}, pool_order: group_first}}, "
                      "allocator: uniform}}",
                      group_reduce),
          32, 1e-4};
}
ScoreArray expected_attention(const std::string& parameters) {
  return {
      fmt::format("{{scorer: {{name: expected_attention, {}}}, allocator: uniform}}", parameters),
      0, 1e-3, 4};
}
const std::map<std::string, ScoreArray> kScores = {
    {"snapkv", {"snapkv_kvpress", 64, 1e-4}},
    {"snapkv_w32k7max", {"snapkv", 32, 1e-4}},
    {"snapkv_w32k7max_groupmean_then_pool", snapkv_variant("mean")},
    {"snapkv_w32k7max_groupmax_then_pool", snapkv_variant("max")},
    {"keydiff", {"keydiff", 0, 1e-5}},
    {"knorm", {"knorm", 0, 1e-5}},
    {"tova", {"tova", 1, 1e-4}},
    {"observed_attention", {"observed_attention", 0, 1e-4}},
    {"h2o_sum", {"{scorer: {name: h2o, recent: 0}, allocator: uniform}", 0, 1e-4}},
    {"expected_attention", expected_attention("eps: 0")},
    {"expected_attention_e1", expected_attention("eps: 0.01")},
    {"expected_attention_e2", expected_attention("eps: 0.02")},
    {"expected_attention_nocov", expected_attention("use_covariance: false")},
    {"expected_attention_novnorm", expected_attention("use_vnorm: false")},
};
// Compared by tests of their own: no scorer gives them.
const std::set<std::string> kOtherArrays = {"window32_attention_mean_over_queries",
                                            "wov_l1_norm_groupmean"};

template <class T>
at::Tensor read(const h5::File& file, const std::string& name) {
  const auto array = h5::read_array<T>(file, name);
  return at::tensor(array.values).view(array.dims);
}

std::vector<int32_t> read_ids(const h5::File& file, const std::string& name) {
  return h5::read_array<int32_t>(file, name).values;
}

// The prefills of one file: everything that the tests below compare.
struct Golden {
  explicit Golden(const std::filesystem::path& path)
      : file(path, h5::Mode::kRead),
        context(read_ids(file, "context_ids")),
        question(read_ids(file, "question_ids")) {}

  std::vector<std::string> ratios() const { return h5::list(file, "policies"); }

  h5::File file;
  std::vector<int32_t> context, question;
};

class PoliciesGolden : public testing::Test {
 protected:
  static const Decoder& model() {
    static const Decoder decoder(golden::model_dir(), at::kFloat, at::kCPU);
    return decoder;
  }

  // Calls `check` for every file that holds a context; skips when there is none.
  template <class F>
  void for_each_file(F&& check) {
    int n_files = 0;
    const auto folder = golden::reference_root() / "policies";
    for (const auto& path : golden::files_below(folder, ".h5")) {
      if (!h5::exists(h5::File(path, h5::Mode::kRead), "context_ids")) continue;
      SCOPED_TRACE(path.string());
      check(Golden(path));
      ++n_files;
    }
    if (n_files == 0) GTEST_SKIP() << "no file with context_ids in " << folder;
  }
};

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

// Same order wherever neighbours are further apart than the tolerance.
void expect_same_top(const at::Tensor& logits, const at::Tensor& ids, const at::Tensor& values,
                     double tolerance) {
  const auto [top_values, top_ids] = logits.topk(ids.size(0));
  for (int64_t i = 0; i < ids.size(0); ++i) {
    if (top_ids[i].item<int64_t>() == ids[i].item<int64_t>()) continue;
    const double ours = logits[ids[i].item<int64_t>()].item<double>();
    EXPECT_LE(std::abs(ours - top_values[i].item<double>()), tolerance) << "rank " << i;
    EXPECT_LE(std::abs(ours - values[i].item<double>()), tolerance) << "rank " << i;
  }
}

TEST_F(PoliciesGolden, LogitsOfTheLastContextToken) {
  for_each_file([&](const Golden& golden) {
    constexpr double kTolerance = 2e-3;
    const auto logits = model().prefill(golden.context, [](const LayerView&) {});
    const auto want = read<float>(golden.file, "full/context_last_logits");
    EXPECT_TRUE(largest_difference(logits, want) <= kTolerance);
    expect_same_top(logits, read<int32_t>(golden.file, "full/context_last_top20_ids"),
                    read<float>(golden.file, "full/context_last_top20_values"), kTolerance);
  });
}

// Differences relative to the largest value of each layer; [L, heads, T].
void expect_near_by_layer(const at::Tensor& got, const at::Tensor& want, double tolerance) {
  ASSERT_EQ(got.sizes(), want.sizes());
  const auto difference = (got - want).abs().amax({1, 2}) / want.abs().amax({1, 2});
  EXPECT_TRUE(difference.max().item<double>() <= tolerance) << difference.max().item<double>();
}

// Arrays that are made of one layer at a time by something else than a scorer.
template <class F>
void expect_array(const Decoder& model, const Golden& golden, const std::string& name,
                  double tolerance, F&& of_layer) {
  if (!h5::exists(golden.file, name)) GTEST_SKIP() << name << " is not there";
  std::vector<at::Tensor> layers;
  model.prefill(golden.context, [&](const LayerView& layer) { layers.push_back(of_layer(layer)); });
  expect_near_by_layer(at::stack(layers), read<float>(golden.file, name), tolerance);
}

TEST_F(PoliciesGolden, WindowAttention) {
  for_each_file([&](const Golden& golden) {
    expect_array(model(), golden, "scores/window32_attention_mean_over_queries", 1e-4,
                 [](const LayerView& layer) {
                   return window_scores(latest_queries(layer, 32), layer.keys,
                                        layer.attention_scale, "max", 1, "pool_first", "none");
                 });
  });
}

// What CriticalKV weighs scores with: no first stage, scores of 0 with eps 1, every token kept.
TEST_F(PoliciesGolden, ProjectedValueNorms) {
  Params params("weighting critical", "", {{"eps", "1"}, {"first_stage_ratio", "0"}});
  const auto critical = Registry<Weighting>::instance().find("critical").make(params);
  for_each_file([&](const Golden& golden) {
    expect_array(
        model(), golden, "scores/wov_l1_norm_groupmean", 1e-5, [&](const LayerView& layer) {
          const std::vector<int64_t> counts(layer.n_kv_heads(), layer.n_tokens());
          return critical->weigh(layer, at::zeros({layer.n_kv_heads(), layer.n_tokens()}), counts);
        });
  });
}

TEST_F(PoliciesGolden, Scores) {
  for_each_file([&](const Golden& golden) {
    std::vector<Policy> policies;
    std::map<std::string, ScoreArray> by_scorer;
    std::map<std::string, std::string> dataset;
    for (const auto& name : h5::list(golden.file, "scores")) {
      const auto known = kScores.find(name);
      if (known == kScores.end()) {
        if (!kOtherArrays.contains(name)) fmt::print("not checked here: scores/{}\n", name);
        continue;
      }
      const Policy& policy = policies.emplace_back(parse_policy_text(known->second.policy));
      by_scorer[policy.scorer()] = known->second;
      dataset[policy.scorer()] = "scores/" + name;
    }
    std::map<std::string, std::vector<at::Tensor>> ours;
    CompressOptions options;
    options.on_scores = [&](const std::string& scorer, int64_t, const at::Tensor& scores) {
      ours[scorer].push_back(scores);
    };
    std::vector<PolicyAtRatio> asked;
    for (const auto& policy : policies) asked.push_back({&policy, 0.5});
    compress_context(model(), golden.context, asked, options);
    for (const auto& [scorer, array] : by_scorer) {
      SCOPED_TRACE(dataset[scorer]);
      const auto want = read<float>(golden.file, dataset[scorer]);
      const auto got = at::stack(ours.at(scorer));
      const int64_t end = got.size(2) - array.window;
      ASSERT_TRUE(want.size(2) == got.size(2) || want.size(2) == end);
      expect_near_by_layer(got.slice(2, array.sink, end), want.slice(2, array.sink, end),
                           array.tolerance);
    }
  });
}

// Kept positions of a mask [L, H, T].
std::vector<KeptTokens> kept_of_mask(const at::Tensor& mask) {
  std::vector<KeptTokens> layers;
  for (int64_t l = 0; l < mask.size(0); ++l) {
    KeptTokens& kept = layers.emplace_back();
    kept.offsets.push_back(0);
    for (int64_t h = 0; h < mask.size(1); ++h) {
      const auto positions = mask[l][h].nonzero().flatten();
      for (int64_t i = 0; i < positions.size(0); ++i) {
        kept.positions.push_back(positions[i].item<int64_t>());
      }
      kept.offsets.push_back(static_cast<int64_t>(kept.positions.size()));
    }
  }
  return layers;
}

Selection as_selection(const KeptTokens& kept) {
  return {kept.counts(), at::tensor(kept.positions, at::kInt), at::tensor(kept.offsets, at::kInt),
          at::zeros({kept.n_kv_heads()}, at::kInt)};
}

// Tokens kept by one and not by the other, of one head; both ascending.
std::vector<int64_t> symmetric_difference(const KeptTokens& a, const KeptTokens& b, int64_t head) {
  std::vector<int64_t> only;
  std::set_symmetric_difference(
      a.positions.begin() + a.offsets[head], a.positions.begin() + a.offsets[head + 1],
      b.positions.begin() + b.offsets[head], b.positions.begin() + b.offsets[head + 1],
      std::back_inserter(only));
  return only;
}

struct PolicyCase {
  std::string group;  // "policies/r0.5/snapkv"
  Policy policy;
  double ratio;
};

std::vector<PolicyCase> policy_cases(const Golden& golden) {
  std::vector<PolicyCase> cases;
  std::set<std::string> unknown;
  for (const auto& ratio : golden.ratios()) {
    for (const auto& name : h5::list(golden.file, "policies/" + ratio)) {
      auto policy = find_policy(name);
      if (!policy) {
        unknown.insert(name);
        continue;
      }
      cases.push_back({fmt::format("policies/{}/{}", ratio, name), std::move(*policy),
                       std::stod(ratio.substr(1))});
    }
  }
  for (const auto& name : unknown) fmt::print("not checked here: policy {}\n", name);
  return cases;
}

// Heads that compete for a layer's budget may differ where scores nearly tie across heads: by two
// tokens a head, never in the layer's total.
void expect_near_counts(const std::vector<int32_t>& ours, const h5::Array<int32_t>& want) {
  ASSERT_EQ(ours.size(), want.values.size());
  const auto n_heads = static_cast<size_t>(want.dims[1]);
  int64_t layer_difference = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_LE(std::abs(ours[i] - want.values[i]), 2) << "layer " << i / n_heads;
    layer_difference += ours[i] - want.values[i];
    if ((i + 1) % n_heads != 0) continue;
    EXPECT_EQ(layer_difference, 0) << "layer " << i / n_heads;
    layer_difference = 0;
  }
}

// Highest score of [H, T] among the tokens that are not kept.
double highest_gone(const at::Tensor& scores, const KeptTokens& kept) {
  at::Tensor gone = scores.clone();
  for (int64_t h = 0; h < kept.n_kv_heads(); ++h) {
    for (int64_t k = kept.offsets[h]; k < kept.offsets[h + 1]; ++k) {
      gone[h][kept.positions[k]] = -INFINITY;
    }
  }
  return gone.max().item<double>();
}

TEST_F(PoliciesGolden, KeptSetsEqualUpToTies) {
  for_each_file([&](const Golden& golden) {
    const auto cases = policy_cases(golden);
    std::map<std::string, std::vector<at::Tensor>> scores;
    CompressOptions options;
    options.keep_positions = true;
    options.on_scores = [&](const std::string& scorer, int64_t, const at::Tensor& layer) {
      scores[scorer].push_back(layer);
    };
    std::vector<PolicyAtRatio> asked;
    for (const auto& c : cases) asked.push_back({&c.policy, c.ratio});
    const Compressed ours = compress_context(model(), golden.context, asked, options);
    for (size_t i = 0; i < cases.size(); ++i) {
      SCOPED_TRACE(cases[i].group);
      const auto mask = read<uint8_t>(golden.file, cases[i].group + "/kept_mask");
      const auto counts = h5::read_array<int32_t>(golden.file, cases[i].group + "/keep_counts");
      const bool heads_compete = cases[i].policy.allocator().starts_with("ada");
      if (heads_compete) {
        expect_near_counts(ours.caches[i].keep_counts, counts);
      } else {
        EXPECT_EQ(ours.caches[i].keep_counts, counts.values);
      }
      const auto want = kept_of_mask(mask);
      int64_t n_different = 0;
      for (int64_t l = 0; l < mask.size(0); ++l) {
        const at::Tensor layer =
            cases[i].policy.protected_scores(scores.at(cases[i].policy.scorer())[l]);
        const KeptTokens& kept = ours.caches[i].kept[l];
        // The boundary of the cut over all heads; NaN is near nothing.
        const double shared = heads_compete ? highest_gone(layer, kept) : NAN;
        for (int64_t h = 0; h < mask.size(1); ++h) {
          double lowest = INFINITY;  // kept score: the boundary of the cut
          for (int64_t k = kept.offsets[h]; k < kept.offsets[h + 1]; ++k) {
            lowest = std::min(lowest, layer[h][kept.positions[k]].item<double>());
          }
          // Relative to the boundary: the layer's maximum may be the constant of protected tokens.
          const double tolerance = 1e-4 * std::abs(lowest);
          for (const auto token : symmetric_difference(kept, want[l], h)) {
            ++n_different;
            const auto score = layer[h][token].item<double>();
            EXPECT_TRUE(std::abs(score - lowest) <= tolerance ||
                        std::abs(score - shared) <= tolerance)
                << "layer " << l << ", head " << h << ", token " << token << " is no tie";
          }
        }
      }
      if (n_different > 0) fmt::print("{}: {} tied tokens differ\n", cases[i].group, n_different);
    }
  });
}

// Where a greedy continuation leaves the stored one, the stored margin must be a near tie.
void expect_same_continuation(const std::vector<int32_t>& ours, const std::vector<int32_t>& want,
                              const std::vector<float>& margins) {
  constexpr float kNearTie = 1e-3F;
  size_t n_equal = 0, first = want.size();
  for (size_t i = 0; i < want.size(); ++i) {
    n_equal += ours.at(i) == want[i] ? 1 : 0;
    if (ours[i] != want[i]) first = std::min(first, i);
  }
  if (first == want.size()) return;
  EXPECT_LT(margins.at(first), kNearTie) << "first deviation at token " << first;
  EXPECT_GE(n_equal, want.size() - 2);
}

TEST_F(PoliciesGolden, ContinuationsOverTheCutCaches) {
  for_each_file([&](const Golden& golden) {
    // The stored masks are imposed, so that a tie decided otherwise does not change the question.
    std::vector<std::string> groups = {"full"};
    std::vector<std::vector<KeptTokens>> masks = {{}};
    for (const auto& c : policy_cases(golden)) {
      groups.push_back(c.group);
      masks.push_back(kept_of_mask(read<uint8_t>(golden.file, c.group + "/kept_mask")));
    }
    const auto n_new = static_cast<int64_t>(read_ids(golden.file, "full/continuation_ids").size());
    std::vector<KvCache> caches;
    for (size_t i = 0; i < groups.size(); ++i) {
      caches.emplace_back(model().config().n_layers);
    }
    const auto logits = model().prefill(golden.context, [&](const LayerView& layer) {
      for (size_t i = 0; i < groups.size(); ++i) {
        caches[i].store(layer.index, layer.keys, layer.values,
                        i == 0 ? keep_all(layer.n_kv_heads(), layer.n_tokens(), layer.keys.device())
                               : as_selection(masks[i][layer.index]));
      }
    });
    std::vector<GrowingCache> batch;
    for (auto& cache : caches) batch.push_back({&cache, logits});
    const auto answers = generate(model(), batch, golden.question, {n_new, {}});
    for (size_t i = 0; i < groups.size(); ++i) {
      SCOPED_TRACE(groups[i]);
      expect_same_continuation(
          answers[i].tokens, read_ids(golden.file, groups[i] + "/continuation_ids"),
          h5::read_array<float>(golden.file, groups[i] + "/continuation_margin").values);
    }
    // Divergence from the full cache along its own continuation, the peer's beside ours.
    const auto said = read_ids(golden.file, "full/continuation_ids");
    for (auto& cache : caches) cache.rewind();
    const auto full = forced_log_probs(model(), batch[0], golden.question, said);
    for (size_t i = 1; i < groups.size(); ++i) {
      SCOPED_TRACE(groups[i]);
      const auto want = read<float>(golden.file, groups[i] + "/tf_kl").mean().item<double>();
      const auto cut = forced_log_probs(model(), batch[i], golden.question, said);
      EXPECT_NEAR(compare(full, cut).kl, want, 1e-3);
    }
  });
}

}  // namespace
}  // namespace kvbench
