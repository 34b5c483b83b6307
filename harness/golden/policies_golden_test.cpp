// Logits, scores, kept sets and continuations against the arrays in REFERENCE/policies/*.h5, which
// kvpress 0.5.5 and transformers 5.2 made in float32. Files are found, not named; a policy or score
// that this version does not have is listed as not checked.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "harness/golden/golden.h"
#include "harness/model/decoder.h"
#include "harness/base/hdf5.h"
#include "harness/runner/compress.h"
#include "harness/runner/generate.h"

namespace kvbench {
namespace {

// What the arrays' names mean (reference README); the sources of the settings are there too.
const std::map<std::string, std::string> kPolicies = {
    {"snapkv", "snapkv_kvpress"},
    {"snapkv_w32k7max", "snapkv"},
    {"keydiff", "keydiff"},
    {"streaming_llm", "streaming_llm"},
    {"random_s42", "{scorer: {name: random, seed: 42, seed_per_layer: false}, allocator: uniform}"},
};
// Score arrays, the policy whose scorer makes them, and how many last tokens are protected there.
struct ScoreArray {
  std::string policy;
  int64_t window;
  double tolerance;  // relative to the largest value of the layer
};
const std::map<std::string, ScoreArray> kScores = {
    {"snapkv", {"snapkv_kvpress", 64, 1e-4}},
    {"snapkv_w32k7max", {"snapkv", 32, 1e-4}},
    {"keydiff", {"keydiff", 0, 1e-4}},
};

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

TEST_F(PoliciesGolden, Scores) {
  for_each_file([&](const Golden& golden) {
    std::vector<Policy> policies;
    std::map<std::string, ScoreArray> by_scorer;
    std::map<std::string, std::string> dataset;
    for (const auto& name : h5::list(golden.file, "scores")) {
      const auto known = kScores.find(name);
      if (known == kScores.end()) {
        fmt::print("not checked here: scores/{}\n", name);
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
      ASSERT_EQ(got.sizes(), want.sizes());
      const int64_t n_ranked = want.size(2) - array.window;
      const auto reference = want.narrow(2, 0, n_ranked);
      const auto difference = (got.narrow(2, 0, n_ranked) - reference).abs().amax({1, 2});
      EXPECT_TRUE((difference / reference.abs().amax({1, 2})).max().item<double>() <=
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
      const auto known = kPolicies.find(name);
      if (known == kPolicies.end()) {
        unknown.insert(name);
        continue;
      }
      cases.push_back({fmt::format("policies/{}/{}", ratio, name),
                       Policy(parse_policy_text(known->second)), std::stod(ratio.substr(1))});
    }
  }
  for (const auto& name : unknown) fmt::print("not checked here: policy {}\n", name);
  return cases;
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
      EXPECT_EQ(ours.caches[i].keep_counts, counts.values);
      const auto want = kept_of_mask(mask);
      int64_t n_different = 0;
      for (int64_t l = 0; l < mask.size(0); ++l) {
        const at::Tensor& layer = scores.at(cases[i].policy.scorer())[l];
        const double tolerance = 1e-4 * layer.abs().max().item<double>();
        for (int64_t h = 0; h < mask.size(1); ++h) {
          const KeptTokens& kept = ours.caches[i].kept[l];
          double lowest = INFINITY;  // kept score: the boundary of the cut
          for (int64_t k = kept.offsets[h]; k < kept.offsets[h + 1]; ++k) {
            lowest = std::min(lowest, layer[h][kept.positions[k]].item<double>());
          }
          for (const auto token : symmetric_difference(kept, want[l], h)) {
            ++n_different;
            EXPECT_LE(std::abs(layer[h][token].item<double>() - lowest), tolerance)
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
        caches[i].store(
            layer.index, layer.keys, layer.values,
            i == 0 ? keep_all(layer.n_kv_heads(), layer.n_tokens()) : masks[i][layer.index]);
      }
    });
    std::vector<KvCache*> batch;
    for (auto& cache : caches) batch.push_back(&cache);
    const auto answers = generate(model(), batch, golden.question, logits, {n_new, {}});
    for (size_t i = 0; i < groups.size(); ++i) {
      SCOPED_TRACE(groups[i]);
      expect_same_continuation(
          answers[i].tokens, read_ids(golden.file, groups[i] + "/continuation_ids"),
          h5::read_array<float>(golden.file, groups[i] + "/continuation_margin").values);
    }
  });
}

}  // namespace
}  // namespace kvbench
