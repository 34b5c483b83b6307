// LU-KV's solver against the arrays that the official profile code made: policies/lukv_profile.h5
// of the reference. A subset that leaves the contexts out skips.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "harness/base/hdf5.h"
#include "harness/golden/golden.h"
#include "policies/lukv/allocation.h"
#include "policies/lukv/gap.h"
#include "policies/lukv/loss_curve.h"
#include "policies/lukv/profile_counts.h"

namespace kvbench {
namespace {

using lukv::Curves;

const std::vector<std::string> kScorers = {"ea", "snapkv", "keydiff"};
const std::vector<double> kRatios = {0.5, 0.8, 0.9};  // of the rows of gap and profile_*

// One scorer's arrays of one context.
struct Case {
  Case(const h5::File& profile, const std::string& context, const std::string& scorer_name)
      : file(profile),
        scorer(scorer_name),
        group(context + "/" + scorer_name),
        importance(h5::read_array<float>(file, context + "/oracle")),
        scores(h5::read_array<float>(file, context + "/score_" + scorer).values),
        n_layers(importance.dims[0]),
        n_kv_heads(importance.dims[1]),
        n_tokens(importance.dims[2]),
        sink(h5::read_attribute<int64_t>(file, group, "sink")),
        window(h5::read_attribute<int64_t>(file, group, "window")) {}

  int64_t n_heads() const { return n_layers * n_kv_heads; }
  int64_t min_keep() const { return lukv::min_keep_tokens(0.01, n_tokens, sink, window); }
  std::string average() const {
    return fmt::format("average/{}_sink{}_win{}", scorer, sink, window);
  }
  template <class T>
  h5::Array<T> read(const std::string& name) const {
    return h5::read_array<T>(file, group + "/" + name);
  }
  std::span<const float> head(const std::vector<float>& values, int64_t index) const {
    return std::span(values).subspan(index * n_tokens, n_tokens);
  }

  // In the order that the official code used, its ties being arbitrary.
  std::vector<std::vector<float>> official_marginals() const {
    const auto order = read<int32_t>("rank_order_official");
    const int64_t n_free = order.dims[2];
    std::vector<std::vector<float>> marginals(n_heads());
    for (int64_t h = 0; h < n_heads(); ++h) {
      for (int64_t d = n_free - 1; d >= 0; --d) {
        marginals[h].push_back(head(importance.values, h)[sink + order.values[h * n_free + d]]);
      }
    }
    return marginals;
  }
  std::vector<std::vector<float>> stable_marginals() const {
    std::vector<std::vector<float>> marginals;
    for (int64_t h = 0; h < n_heads(); ++h) {
      marginals.push_back(
          lukv::marginal_losses(head(scores, h), head(importance.values, h), sink, window));
    }
    return marginals;
  }
  std::vector<int32_t> table(const std::vector<std::vector<float>>& marginals,
                             lukv::Scope scope) const {
    Curves curves;
    for (const auto& m : marginals) curves.push_back(lukv::convex_minorant(m));
    return lukv::discard_table(curves, n_kv_heads, n_tokens, min_keep(), scope);
  }
  // Stored prune ratios as discarded tokens.
  std::vector<int32_t> stored_table(const std::string& name) const {
    std::vector<int32_t> counts;
    for (const float ratio : read<float>(name).values) {
      counts.push_back(static_cast<int32_t>(std::lrint(ratio * static_cast<float>(n_tokens))));
    }
    return counts;
  }

  const h5::File& file;
  std::string scorer, group;
  h5::Array<float> importance;
  std::vector<float> scores;
  int64_t n_layers, n_kv_heads, n_tokens, sink, window;
};

// Calls `check` with every scorer of every context there is; skips when there is none.
template <class F>
void for_each_case(F&& check) {
  const auto path = golden::reference_root() / "policies/lukv_profile.h5";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const h5::File file(path, h5::Mode::kRead);
  int n_cases = 0;
  for (const auto& context : h5::list(file)) {
    if (!context.starts_with("context")) continue;
    for (const auto& scorer : kScorers) {
      if (!h5::exists(file, context + "/score_" + scorer)) continue;
      SCOPED_TRACE(context + "/" + scorer);
      check(Case(file, context, scorer));
      ++n_cases;
    }
  }
  if (n_cases == 0) GTEST_SKIP() << "no contexts in " << path;
}

TEST(LuKvGolden, HullMarginals) {
  for_each_case([](const Case& c) {
    const auto want = c.read<float>("hull_marginals");
    const auto marginals = c.official_marginals();
    const int64_t n_free = want.dims[2];
    for (int64_t h = 0; h < c.n_heads(); ++h) {
      int64_t at = (h + 1) * n_free;  // stored best-ranked first: read from the back
      for (const auto& segment : lukv::convex_minorant(marginals[h])) {
        for (int32_t i = 0; i < segment.tokens; ++i) {
          const float wanted = want.values[--at];
          // The official sums are float32: of slopes far below the largest the last digits go.
          EXPECT_NEAR(segment.slope, wanted, 1e-4 * wanted + 1e-7 * want.values[h * n_free])
              << "head " << h;
        }
      }
    }
  });
}

TEST(LuKvGolden, CurvesInTokenCounts) {
  for_each_case([](const Case& c) {
    const auto official = c.official_marginals();
    EXPECT_EQ(c.table(official, lukv::Scope::kGlobal), c.stored_table("curve_global"));
    EXPECT_EQ(c.table(official, lukv::Scope::kLayer), c.stored_table("curve_layer_independent"));
    EXPECT_EQ(c.table(c.stable_marginals(), lukv::Scope::kGlobal),
              c.stored_table("curve_global_stable_ties"));
  });
}

TEST(LuKvGolden, AveragedTable) {
  std::map<std::string, std::vector<double>> sums;
  int n_contexts = 0;
  for_each_case([&](const Case& c) {
    n_contexts += c.scorer == kScorers[0] ? 1 : 0;
    const auto table = c.table(c.stable_marginals(), lukv::Scope::kGlobal);
    auto& sum = sums[c.average() + "_stable_ties"];
    sum.resize(table.size());
    for (size_t i = 0; i < table.size(); ++i) {
      sum[i] += static_cast<double>(table[i]) / static_cast<double>(c.n_tokens);
    }
  });
  if (sums.empty()) GTEST_SKIP();
  const h5::File file(golden::reference_root() / "policies/lukv_profile.h5", h5::Mode::kRead);
  for (const auto& [name, sum] : sums) {
    SCOPED_TRACE(name);
    if (!h5::exists(file, name)) GTEST_SKIP() << "a subset without all contexts";
    const auto want = h5::read_array<float>(file, name).values;
    ASSERT_EQ(want.size(), sum.size());
    for (size_t i = 0; i < sum.size(); ++i) EXPECT_NEAR(sum[i] / n_contexts, want[i], 1e-6);
  }
}

TEST(LuKvGolden, GapToTheOptimum) {
  for_each_case([](const Case& c) {
    const auto want = c.read<double>("gap");  // rows [X, sum u, J1, J2, J3, J4, J5, J0]
    std::vector<int64_t> totals;
    for (size_t i = 0; i < kRatios.size(); ++i) {
      totals.push_back(std::llrint(want.values[8 * i]));
    }
    const auto gaps = lukv::gaps(c.official_marginals(), c.n_tokens - c.min_keep(), totals,
                                 /*exact=*/true);
    for (size_t i = 0; i < gaps.size(); ++i) {
      const lukv::Gap& gap = gaps[i];
      const std::vector<double> ours = {static_cast<double>(gap.discarded),
                                        gap.total,
                                        gap.oracle_optimal,
                                        gap.oracle_uniform,
                                        gap.heuristic_uniform,
                                        gap.heuristic_greedy,
                                        gap.heuristic_exact,
                                        gap.hull_objective};
      for (size_t k = 0; k < ours.size(); ++k) {
        EXPECT_NEAR(ours[k], want.values[8 * i + k], 1e-4 * want.values[8 * i + k])
            << "ratio " << kRatios[i] << ", column " << k;
      }
    }
  });
}

TEST(LuKvGolden, KeepCountsOfTheAveragedTable) {
  for_each_case([](const Case& c) {
    const auto prune = h5::read_array<float>(c.file, c.average()).values;
    const auto want = c.read<int32_t>("profile_keep_counts").values;
    const auto want_loss = c.read<double>("profile_loss").values;
    const auto marginals = c.official_marginals();
    for (size_t i = 0; i < kRatios.size(); ++i) {
      std::vector<int64_t> ours;
      for (int64_t l = 0; l < c.n_layers; ++l) {
        const int64_t first = lukv::profile_row(kRatios[i]) * c.n_heads() + l * c.n_kv_heads;
        const auto layer =
            lukv::profile_counts(std::span(prune).subspan(first, c.n_kv_heads), c.n_tokens);
        ours.insert(ours.end(), layer.begin(), layer.end());
      }
      EXPECT_TRUE(std::equal(ours.begin(), ours.end(), want.begin() + i * c.n_heads()))
          << "ratio " << kRatios[i];
      EXPECT_NEAR(lukv::loss_of_keep_counts(marginals, ours, c.n_tokens), want_loss[i],
                  1e-4 * want_loss[i]);
    }
  });
}

}  // namespace
}  // namespace kvbench
