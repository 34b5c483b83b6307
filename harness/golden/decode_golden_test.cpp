// Decode-time eviction against arrays of the authors' own code, REFERENCE/decode/*.h5 (its README
// says what they hold). A cut begins from the golden kept positions of the cut before, so that a
// tie decided otherwise changes nothing that follows. Files and modes are found, not named.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "harness/base/hdf5.h"
#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/decode.h"
#include "harness/golden/decode_golden.h"
#include "harness/model/decoder.h"
#include "policies/draws.h"
#include "policies/key_redundancy.h"
#include "policies/policy.h"

namespace kvbench {
namespace {

using golden::DecodeGolden;
using golden::expect_relative;
using golden::read;

std::vector<int64_t> to_vector(const at::Tensor& row) {
  const at::Tensor longs = row.to(at::kLong).contiguous();
  return {longs.const_data_ptr<int64_t>(), longs.const_data_ptr<int64_t>() + longs.numel()};
}

// The same number of tokens, of the same golden scores but for ties.
void expect_same_set(const std::vector<int64_t>& got, const std::vector<int64_t>& want,
                     const at::Tensor& scores) {
  ASSERT_EQ(got.size(), want.size());
  const auto sorted = [&](const std::vector<int64_t>& rows) {
    return std::get<0>(scores.index_select(0, at::tensor(rows, at::kLong)).sort());
  };
  expect_relative(sorted(got), sorted(want), 1e-6);
}

TEST_F(DecodeGolden, Redundancy) {
  KVB_REQUIRE_GOLDEN("gkv_redundancy.h5");
  const h5::File file = open("gkv_redundancy.h5");
  for (const auto& name : h5::list(file)) {
    SCOPED_TRACE(name);
    const at::Tensor keys = read<float>(file, name + "/keys");
    expect_relative(key_redundancy(keys, Redundancy::kTriton),
                    read<float>(file, name + "/similarity_triton"), 2e-6);
    expect_relative(key_redundancy(keys, Redundancy::kRaw),
                    read<float>(file, name + "/similarity_raw"), 2e-6);
    // In the model's dtype too: the keys lie on its grid.
    expect_relative(key_redundancy(keys.to(at::kBFloat16), Redundancy::kTriton),
                    read<float>(file, name + "/similarity_triton"), 2e-6);
  }
}

// A scorer and a rule as the arguments of G-KV's class say them, or those of R-KV's.
struct Mode {
  std::string scorer, decode;
  double tolerance = 2e-6;

  Policy policy() const {
    return Policy(parse_policy_text(
        fmt::format("{{scorer: {}, allocator: uniform, decode: {}}}", scorer, decode)));
  }
};

Mode mode_of(const h5::File& file, const std::string& group, int64_t budget) {
  if (!h5::has_attribute(file, group, "arguments")) {
    return {fmt::format("{{name: rkv, window: {}, kernel: {}, mix: {}}}",
                        h5::read_attribute<int64_t>(file, group, "window"),
                        h5::read_attribute<int64_t>(file, group, "kernel"),
                        h5::read_attribute<double>(file, group, "mix_lambda")),
            fmt::format("{{when: seen, interval: 128, budget: {}}}", budget)};
  }
  const auto given =
      nlohmann::json::parse(h5::read_attribute<std::string>(file, group, "arguments"));
  const bool carries = given.value("enable_score_cache", false);
  const double alpha = carries ? given.value("alpha", 0.8) : 0;
  const std::string combine = given.value("smooth_method", "max");
  const bool shifts = given.value("attention_shift_indicator", false);
  Mode mode;
  mode.scorer = fmt::format(
      "{{name: gkv, window: {}, combine: {}, alpha: {}, normalize: {}, shift: {}, initial_sums: {},"
      " kernel: {}, redundancy: {}, mix: {}, similarity: {}}}",
      given.value("window_size", 8), combine, alpha, carries && !given.value("disable_norm", false),
      shifts ? 200 : 0, carries && combine == "sum" && alpha == 1,
      given.value("enable_pooling", false) ? 5 : 1, given.value("suppressing_redundancy", false),
      given.value("mix_lambda", 0.1), given.value("triton_similarity", true) ? "triton" : "raw");
  mode.decode = fmt::format(
      "{{when: grid, interval: 128, budget: {}, share: {}}}", budget,
      given.value("compress_mode", "") == "ratio" ? given.value("compress_ratio", 0.0) : 0.0);
  if (shifts) mode.tolerance = 5e-6;
  return mode;
}

// What a rule does to a head that is fed one token at a time: rows of tokens seen, cached before
// and after, of every cut.
using Row = std::vector<int64_t>;
std::vector<Row> schedule_of(const EvictionRule& rule, int64_t n_prompt, int64_t n_tokens) {
  std::vector<Row> rows;
  int64_t held = n_prompt;
  for (int64_t seen = n_prompt; seen <= n_tokens; ++seen) {
    const Passes passes = {seen - n_prompt, seen, seen == n_prompt ? n_prompt : 1};
    if (seen > n_prompt) ++held;
    const int64_t before = held, budget = rule.budget_of(seen, 0);
    if (!rule.is_due(passes, held, budget)) continue;
    held = budget;
    rows.push_back({seen, before, held});
  }
  return rows;
}

std::vector<Row> golden_cuts(const at::Tensor& schedule) {
  std::vector<Row> rows;
  for (const at::Tensor& row : schedule.unbind()) {
    Row values = to_vector(row);
    values.erase(values.begin(), values.end() - 3);
    if (values[1] != values[2]) rows.push_back(values);
  }
  return rows;
}

TEST_F(DecodeGolden, Sequence) {
  KVB_REQUIRE_GOLDEN("gkv_sequence.h5");
  const h5::File file = open("gkv_sequence.h5");
  const at::Tensor keys = read<float>(file, "keys");  // [3, 712, 64]
  const int64_t n_heads = keys.size(0), n_tokens = keys.size(1);
  const auto budget = h5::read_attribute<int64_t>(file, "/", "budget");
  for (const auto& name : h5::list(file, "modes")) {
    SCOPED_TRACE(name);
    const std::string group = "modes/" + name;
    const Mode mode = mode_of(file, group, budget);
    const Policy policy = mode.policy();
    const Scorer& scorer = *policy.decode()->scorer;
    const auto n_prompt = h5::read_attribute<int64_t>(file, group, "prompt");
    const auto window = h5::read_attribute<int64_t>(file, group, "window");
    const auto cuts = golden_cuts(read<int32_t>(file, group + "/schedule"));
    EXPECT_EQ(schedule_of(*policy.decode(), n_prompt, n_tokens), cuts);
    const at::Tensor ranking = read<float>(file, group + "/ranking");
    const at::Tensor after = read<int32_t>(file, group + "/positions_after");
    const auto optional = [&](const char* array) {
      const std::string path = group + "/" + array;
      return h5::exists(file, path) ? read<float>(file, path) : at::Tensor();
    };
    const at::Tensor joined = optional("F"), initial = optional("F_initial");
    for (int64_t h = 0; h < n_heads; ++h) {
      const auto view_of = [&](const std::vector<int64_t>& positions, const at::Tensor& queries) {
        const at::Tensor rows = keys[h].index_select(0, at::tensor(positions, at::kLong));
        LayerView view;
        view.keys = view.values = rows.unsqueeze(0);
        view.queries = queries.narrow(0, h * 3, 3);
        view.attention_scale = 0.125;
        view.positions = positions;
        return view;
      };
      std::vector<int64_t> held(n_prompt);
      std::iota(held.begin(), held.end(), 0);
      at::Tensor carried;
      if (initial.defined()) {
        carried = scorer.begin(view_of(held, read<float>(file, "prompt_queries_100")));
        expect_relative(carried[0], initial[h], 2e-6);
      }
      int64_t n_seen = n_prompt;
      for (size_t c = 0; c < cuts.size(); ++c) {
        SCOPED_TRACE(fmt::format("head {}, cut {}", h, c));
        for (; n_seen < cuts[c][0]; ++n_seen) held.push_back(n_seen);
        const LayerView view = view_of(held, read<float>(file, fmt::format("queries/{}", n_seen)));
        const auto n_held = static_cast<int64_t>(held.size()), n_ranked = n_held - window;
        ASSERT_EQ(n_held, cuts[c][1]);
        carried = scorer.carry(view, carried);
        const at::Tensor scores = scorer.rank(view, carried);
        const at::Tensor want = ranking[c][h].narrow(0, 0, n_ranked);
        expect_relative(scores[0].narrow(0, 0, n_ranked), want, mode.tolerance);
        if (joined.defined()) {
          expect_relative(carried[0].narrow(0, 0, n_ranked), joined[c][h].narrow(0, 0, n_ranked),
                          2e-6);
        }
        // What stays, as rows: the golden positions in slot order, and our choice.
        const int64_t n_kept = cuts[c][2];
        const auto positions = to_vector(after[c][h].narrow(0, 0, n_kept));
        std::vector<int64_t> rows;
        for (const int64_t position : positions) {
          rows.push_back(std::find(held.begin(), held.end(), position) - held.begin());
        }
        auto ours = select_top(scores, {n_kept}).positions;
        ASSERT_EQ(std::vector(ours.end() - window, ours.end()),
                  std::vector(rows.end() - window, rows.end()));
        ours.resize(ours.size() - window);
        rows.resize(rows.size() - window);
        expect_same_set(ours, rows, want);
        if (carried.defined()) carried = carried.index_select(1, at::tensor(rows, at::kLong));
        held = positions;
      }
    }
  }
}

// All of it on the model: compression, decoding and the cuts of every layer and head.
TEST_F(DecodeGolden, EndToEnd) {
  KVB_REQUIRE_GOLDEN("gkv_e2e.h5");
  if (!std::filesystem::exists(golden::model_dir())) GTEST_SKIP() << "no model";
  const h5::File file = open("gkv_e2e.h5");
  const Decoder model(golden::model_dir(), at::kFloat, at::kCPU);
  const auto n_prompt = h5::read_attribute<int64_t>(file, "/", "prompt");
  const auto ids = h5::read_array<int32_t>(file, "ids").values;
  const Policy gkv(
      parse_policy_text("{preset: gkv, decode: {when: grid, interval: 128, budget: 192}}"));
  const Policy full(parse_policy_text("full"));
  CompressOptions options;
  Compressed made = compress_context(model, {ids.begin(), ids.begin() + n_prompt},
                                     {{&gkv, 0.5}, {&full, 0}}, options);
  ASSERT_EQ(made.caches[0].error, "");
  Eviction& eviction = *made.caches[0].eviction;
  const auto cuts = golden_cuts(read<int32_t>(file, "schedule"));
  const int64_t n_layers = model.config().n_layers, n_heads = model.config().n_kv_heads;
  size_t n_cuts = 0;
  int64_t held = n_prompt;
  const auto check_cut = [&](int64_t n_seen) {
    const int64_t before = held + (n_seen > n_prompt),
                  after = made.caches[0].cache->layer(0).lengths[0];
    held = after;
    if (after == before) return;
    ASSERT_LT(n_cuts, cuts.size());
    EXPECT_EQ((Row{n_seen, before, after}), cuts[n_cuts]);
    const at::Tensor want =
        read<int32_t>(file, fmt::format("positions_after_cut{}", n_cuts));  // [30, 3, 192]
    int64_t n_same = 0;
    for (int64_t l = 0; l < n_layers; ++l) {
      const KeptTokens kept = eviction.kept(l);
      for (int64_t h = 0; h < n_heads; ++h) {
        const std::set<int64_t> ours(kept.positions.begin() + kept.offsets[h],
                                     kept.positions.begin() + kept.offsets[h + 1]);
        for (const int64_t position : to_vector(want[l][h])) n_same += ours.contains(position);
      }
    }
    EXPECT_GE(static_cast<double>(n_same), 0.999 * static_cast<double>(want.numel()));
    if (const auto name = fmt::format("F_after_cut{}", n_cuts); h5::exists(file, name)) {
      const at::Tensor carried = read<float>(file, name);
      for (int64_t l = 0; l < n_layers; ++l) {
        for (int64_t h = 0; h < n_heads; ++h) {
          SCOPED_TRACE(fmt::format("layer {}, head {}", l, h));
          expect_relative(eviction.carried(l, h)[0], carried[l][h], 1e-4);
        }
      }
    }
    ++n_cuts;
  };
  const auto logprob = h5::read_array<float>(file, "logprob").values;
  const auto logprob_full = h5::read_array<float>(file, "logprob_full").values;
  const auto argmax = h5::read_array<int32_t>(file, "argmax").values;
  std::vector<std::string> errors;
  int64_t n_other = 0;
  const auto forced = [&](int64_t step, const std::vector<size_t>& running,
                          const at::Tensor& logits) {
    check_cut(n_prompt + step);
    std::vector<std::optional<int64_t>> next(running.size());
    const int64_t id = ids[static_cast<size_t>(n_prompt + step)];
    const at::Tensor ours = logits.log_softmax(-1);
    EXPECT_NEAR(ours[0][id].item<float>(), logprob[static_cast<size_t>(step)], 1e-3) << step;
    EXPECT_NEAR(ours[1][id].item<float>(), logprob_full[static_cast<size_t>(step)], 1e-3) << step;
    n_other += ours[0].argmax().item<int64_t>() != argmax[static_cast<size_t>(step)];
    if (step + 1 < std::ssize(logprob)) std::fill(next.begin(), next.end(), id);
    return next;
  };
  decode(model, {made.caches[0].growing(), made.caches[1].growing()}, {}, forced, errors);
  EXPECT_EQ(errors[0], "");
  EXPECT_EQ(n_cuts, cuts.size());
  EXPECT_LE(n_other, 1);  // a tie of two logits
  const auto at_end = h5::read_array<int32_t>(file, "cached_at_end").values;
  for (int64_t l = 0; l < n_layers; ++l) {
    EXPECT_EQ(made.caches[0].cache->layer(l).lengths[0], at_end[static_cast<size_t>(l)]);
  }
}

// Chosen rows of one head: by falling score, ties by row, the last 64 as they are.
std::vector<int64_t> ranked_rows(const at::Tensor& scores, int64_t n) {
  return to_vector(
      std::get<1>(scores.sort(/*stable=*/true, 0, /*descending=*/true)).narrow(0, 0, n));
}

TEST_F(DecodeGolden, Vase) {
  KVB_REQUIRE_GOLDEN("vase.h5");
  const std::map<std::string, std::string> modes = {
      {"range_sink_sample_attn", "{name: vase}"},
      {"attn", "{name: vase, large: 0, choose: attention}"},
      {"attn_rkv", "{name: vase, large: 0, choose: attention, mix: 0.5}"},
      {"range_attn", "{name: vase, sinks: 0, choose: attention}"},
      {"evict_large_range", "{name: vase, large: 0, choose: small}"}};
  const h5::File file = open("vase.h5");
  const at::Tensor keys = read<float>(file, "keys"), values = read<float>(file, "values");
  const auto budget = h5::read_attribute<int64_t>(file, "/", "budget"), buffer = int64_t{64};
  for (const at::Tensor& row : read<int32_t>(file, "schedule").unbind()) {
    const Row given = to_vector(row);  // prompt, budget, seen, before, after
    const Policy vase(parse_policy_text(fmt::format(
        "{{preset: vase, decode: {{when: held, interval: 64, budget: {}}}}}", given[1])));
    const auto cuts = schedule_of(*vase.decode(), given[0], 448);
    EXPECT_NE(std::find(cuts.begin(), cuts.end(), Row(given.begin() + 2, given.end())), cuts.end())
        << row;
  }
  for (const auto& [name, scorer] : modes) {
    if (!h5::exists(file, name)) continue;
    const Policy policy(parse_policy_text(
        fmt::format("{{scorer: {}, allocator: uniform, decode: {{when: held, interval: 64, "
                    "budget: {}}}}}",
                    scorer, budget)));
    for (const auto& cut : h5::list(file, name)) {
      SCOPED_TRACE(name + "/" + cut);
      const std::string group = name + "/" + cut + "/";
      const auto optional = [&](const char* array) {
        return h5::exists(file, group + array) ? read<float>(file, group + array) : at::Tensor();
      };
      const at::Tensor before = read<int32_t>(file, group + "slot_positions_before");
      const at::Tensor after = read<int32_t>(file, group + "slot_positions_after");
      const auto n_seen = before.max().item<int64_t>() + 1;
      const at::Tensor queries = read<float>(file, fmt::format("queries/{}", n_seen));
      for (int64_t h = 0; h < keys.size(0); ++h) {
        LayerView view;
        view.positions = to_vector(before[h]);
        const at::Tensor rows = at::tensor(view.positions, at::kLong);
        view.keys = keys[h].index_select(0, rows).unsqueeze(0);
        view.values = values[h].index_select(0, rows).unsqueeze(0);
        view.queries = queries.narrow(0, h * 3, 3);
        view.attention_scale = 0.125;
        view.head = h;
        const int64_t n_ranked = before.size(1) - buffer, n_chosen = budget - buffer;
        const Scorer& vase = *policy.decode()->scorer;
        const at::Tensor base = vase.score(view);
        const at::Tensor scores = vase.score_for_counts(view, base, {budget})[0];
        if (const at::Tensor ranking =
                optional(h5::exists(file, group + "ranking") ? "ranking" : "attention");
            ranking.defined()) {
          expect_relative(base[0].narrow(0, 0, n_ranked), ranking[h], 2e-6);
        }
        // The slots after the cut, as rows of those before.
        std::vector<int64_t> want;
        for (const int64_t position : to_vector(after[h])) {
          want.push_back(std::find(view.positions.begin(), view.positions.end(), position) -
                         view.positions.begin());
        }
        auto ours = ranked_rows(scores.narrow(0, 0, n_ranked), n_chosen);
        const auto kept = select_top(scores.unsqueeze(0), {budget}).positions;
        EXPECT_EQ(std::vector(kept.end() - buffer, kept.end()),
                  std::vector(want.end() - buffer, want.end()));
        want.resize(static_cast<size_t>(n_chosen));
        if (name != "range_sink_sample_attn") {
          // In the same order: at each place the same score, but for ties.
          const at::Tensor of = scores.narrow(0, 0, n_ranked);
          expect_relative(of.index_select(0, at::tensor(want, at::kLong)),
                          of.index_select(0, at::tensor(ours, at::kLong)), 1e-6);
          continue;
        }
        // The four sinks are equal there; the others come in the order of their ranges.
        const auto forced = h5::read_array<int32_t>(file, group + "forced_slots");
        const int64_t n_large = forced.dims[1];
        const std::vector<int64_t> golden_forced(forced.values.begin() + h * n_large,
                                                 forced.values.begin() + (h + 1) * n_large);
        EXPECT_EQ(std::set(ours.begin(), ours.begin() + 4), std::set({0L, 1L, 2L, 3L}));
        EXPECT_EQ(std::vector(ours.begin() + 4, ours.begin() + n_large),
                  std::vector(golden_forced.begin() + 4, golden_forced.end()));
        // Successive sampling: how often each slot is drawn, against the exact probability.
        constexpr int64_t kDraws = 4000;
        const at::Tensor weights = read<float>(file, group + "weights")[h];
        const at::Tensor exact = read<double>(file, group + "inclusion_exact")[h];
        const int64_t n_drawn = n_chosen - n_large;
        at::Tensor count = at::zeros({n_ranked}, at::kDouble);
        for (int64_t seed = 0; seed < kDraws; ++seed) {
          const at::Tensor uniform =
              uniform_draws(view, static_cast<uint64_t>(seed)).narrow(1, 0, n_ranked);
          const at::Tensor drawn =
              std::get<1>(draw_keys(weights.unsqueeze(0), uniform)[0].topk(n_drawn));
          count.index_add_(0, drawn, at::ones({n_drawn}, at::kDouble));
        }
        const at::Tensor sampled = exact.gt(0.01).logical_and(exact.lt(0.99));
        const at::Tensor z = ((count / kDraws - exact) / (exact * (1 - exact) / kDraws).sqrt())
                                 .masked_select(sampled);
        EXPECT_NEAR(z.square().mean().sqrt().item<double>(), 1, 0.15);
        EXPECT_LT(z.abs().max().item<double>(), 5);
        EXPECT_EQ(count.masked_select(weights.eq(0)).sum().item<double>(), 0);
      }
    }
  }
}

}  // namespace
}  // namespace kvbench
