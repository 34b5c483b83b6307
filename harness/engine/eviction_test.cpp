// Eviction while decoding, against the plain formulae applied to an uncut copy at every step.
#include "harness/engine/eviction.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/generate.h"
#include "harness/engine/test_profile.h"
#include "harness/engine/tiny_model.h"

namespace kvbench {
namespace {

Policy policy(const std::string& text) { return Policy(parse_policy_text(text)); }

CompressedCache cut(const Policy& policy, const std::vector<int32_t>& context, double ratio) {
  CompressOptions options;
  options.keep_positions = true;
  Compressed made = compress_context(tiny_model(), context, {{&policy, ratio}}, options);
  EXPECT_EQ(made.caches[0].error, "");
  return std::move(made.caches[0]);
}

at::Tensor keys_of(const KvCache& cache, int64_t layer, int64_t head) {
  const KvCache::Layer& l = cache.layer(layer);
  return l.keys.narrow(0, l.starts[head], l.lengths[head]);
}

// Attention of m queries [m, G, d] over one head's rows, the last m of them theirs: [G, m, n].
at::Tensor attention(const at::Tensor& queries, const at::Tensor& keys) {
  const int64_t m = queries.size(0), n = keys.size(0), d = keys.size(1);
  const at::Tensor logits =
      at::matmul(queries.transpose(0, 1).to(at::kDouble), keys.to(at::kDouble).t()) /
      std::sqrt(static_cast<double>(d));
  const at::Tensor hidden = at::ones({m, n}, at::kBool).triu(n - m + 1);
  return logits.masked_fill(hidden, -INFINITY).softmax(-1);
}

// One step as the plain reference sees it: the cache with the new rows, nothing cut, and the
// queries of every layer.
struct Uncut {
  KvCache cache;
  std::vector<at::Tensor> queries;  // [L] of [m, Hq, d]

  at::Tensor group_queries(int64_t layer, int64_t head) const {
    const int64_t group = tiny_model().config().n_heads / tiny_model().config().n_kv_heads;
    return queries[layer].narrow(1, head * group, group);
  }
};

Uncut uncut_step(const KvCache& cache, const std::vector<int64_t>& tokens) {
  Uncut step{cache.clone(), {}};
  DecodeBatch batch({&step.cache});
  tiny_model().extend(at::tensor(tokens).unsqueeze(0), batch, Decoder::Logits::kLast,
                      [&](int64_t, const at::Tensor& q, const at::Tensor&) {
                        step.queries.push_back(q.select(0, 0));
                      });
  return step;
}

// Row numbers that the plain reference keeps of one head.
using Reference = std::function<std::vector<int64_t>(const Uncut&, int64_t layer, int64_t head)>;

// Decodes with the policy's eviction and compares every head's rows with the reference's choice at
// every step.
void follow(const Policy& policy, double ratio, const Reference& reference, int64_t n_steps) {
  CompressedCache made = cut(policy, some_tokens(60), ratio);
  ASSERT_NE(made.eviction, nullptr);
  DecodeBatch batch({made.cache.get()});
  std::vector<std::string> errors;
  for (int64_t i = 0; i < n_steps; ++i) {
    // A question of three tokens first, then one token at a time.
    const std::vector<int64_t> tokens =
        i == 0 ? std::vector<int64_t>{5, 6, 7} : std::vector<int64_t>{(i * 11) % 96};
    const Uncut before = uncut_step(*made.cache, tokens);
    extend_and_evict(tiny_model(), at::tensor(tokens).unsqueeze(0), batch, {made.growing()},
                     errors);
    ASSERT_EQ(errors[0], "");
    for (int64_t l = 0; l < tiny_model().config().n_layers; ++l) {
      for (int64_t h = 0; h < tiny_model().config().n_kv_heads; ++h) {
        const auto rows = reference(before, l, h);
        const at::Tensor want =
            keys_of(before.cache, l, h).index_select(0, at::tensor(rows, at::kLong));
        ASSERT_TRUE(at::equal(keys_of(*made.cache, l, h), want))
            << "step " << i << ", layer " << l << ", head " << h;
      }
    }
  }
}

// The `n` highest of double scores, ascending.
std::vector<int64_t> highest(const at::Tensor& scores, int64_t n) {
  std::vector<int64_t> order(static_cast<size_t>(scores.numel()));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return scores[a].item<double>() > scores[b].item<double>();
  });
  order.resize(static_cast<size_t>(n));
  std::sort(order.begin(), order.end());
  return order;
}

TEST(Eviction, TovaDropsWhatTheLastTokenAttendsToLeast) {
  follow(
      policy("tova_decode"), 0.5,
      [](const Uncut& step, int64_t l, int64_t) {
        at::Tensor sum = at::zeros({keys_of(step.cache, l, 0).size(0)}, at::kDouble);
        for (int64_t h = 0; h < 2; ++h) {
          const at::Tensor last = step.group_queries(l, h).slice(0, -1);
          sum += attention(last, keys_of(step.cache, l, h)).sum({0, 1});
        }
        return highest(sum, 30);
      },
      12);
}

TEST(Eviction, H2oAccumulatesAndKeepsTheRecentHalf) {
  // The sums as the reference carries them, begun with those of the whole prefill.
  const Policy h2o = policy("h2o_decode");
  std::vector<std::vector<at::Tensor>> sums(2, std::vector<at::Tensor>(2));
  const CompressedCache start = cut(h2o, some_tokens(60), 0.5);
  tiny_model().prefill(some_tokens(60), [&](const LayerView& layer) {
    for (int64_t h = 0; h < 2; ++h) {
      const int64_t group = layer.queries.size(0) / 2;
      const at::Tensor weights = attention(
          layer.queries.narrow(0, h * group, group).transpose(0, 1), layer.keys[h]);  // [G, T, T]
      const KeptTokens& kept = start.kept[layer.index];
      const std::vector<int64_t> positions(kept.positions.begin() + kept.offsets[h],
                                           kept.positions.begin() + kept.offsets[h + 1]);
      sums[layer.index][h] = weights.sum(1).mean(0).index_select(0, at::tensor(positions));
    }
  });
  follow(
      h2o, 0.5,
      [&](const Uncut& step, int64_t l, int64_t h) {
        const at::Tensor keys = keys_of(step.cache, l, h);
        at::Tensor sum = attention(step.group_queries(l, h), keys).sum(1).mean(0);
        sum.narrow(0, 0, sums[l][h].size(0)).add_(sums[l][h]);
        at::Tensor ranked = sum.clone();
        ranked.slice(0, -15).add_(1000);  // half of 30
        const auto rows = highest(ranked, 30);
        sums[l][h] = sum.index_select(0, at::tensor(rows, at::kLong));
        return rows;
      },
      12);
}

TEST(Eviction, GkvCarriesItsGlobalScoreFromCutToCut) {
  const int64_t window = 8, budget = 24, interval = 5;
  const Policy gkv = policy(
      "{scorer: {name: gkv, window: 8, redundancy: false}, allocator: uniform,"
      " decode: {when: interval, interval: 5, budget: 24}}");
  // By token: its global score at the last cut of its head. Begun by the prefill's own cut.
  std::vector<std::vector<at::Tensor>> global(2, std::vector<at::Tensor>(2)), latest = global;
  const CompressedCache start = cut(gkv, some_tokens(60), 0.5);
  tiny_model().prefill(some_tokens(60), [&](const LayerView& layer) {
    for (int64_t h = 0; h < 2; ++h) {
      const int64_t group = layer.queries.size(0) / 2;
      const at::Tensor queries = layer.queries.narrow(0, h * group, group).transpose(0, 1);
      latest[layer.index][h] = queries.slice(0, -window).clone();
      const at::Tensor f = attention(queries, layer.keys[h])
                               .amax(0)
                               .slice(0, -window)
                               .mean(0)
                               .slice(0, 0, 60 - window);
      const KeptTokens& kept = start.kept[layer.index];
      const std::vector<int64_t> positions(kept.positions.begin() + kept.offsets[h],
                                           kept.positions.begin() + kept.offsets[h + 1] - window);
      global[layer.index][h] = (f / f.max()).index_select(0, at::tensor(positions));
    }
  });
  std::vector<int64_t> since_cut(2, 0);  // tokens, by layer
  follow(
      gkv, 0.5,
      [&](const Uncut& step, int64_t l, int64_t h) {
        const at::Tensor keys = keys_of(step.cache, l, h);
        const int64_t n = keys.size(0);
        at::Tensor& queries = latest[l][h];
        queries = at::cat({queries, step.group_queries(l, h)}).slice(0, -window);
        if (h == 0) since_cut[l] += step.queries[l].size(0);
        std::vector<int64_t> rows(static_cast<size_t>(n));
        for (int64_t i = 0; i < n; ++i) rows[static_cast<size_t>(i)] = i;
        if (since_cut[l] < interval || n <= budget) return rows;
        if (h == 1) since_cut[l] = 0;
        at::Tensor f = attention(queries, keys).amax(0).mean(0).slice(0, 0, n - window);
        f = f / f.max();
        const int64_t known = global[l][h].size(0);
        f = at::cat({at::max(f.slice(0, 0, known), global[l][h] * 0.8), f.slice(0, known)});
        rows = highest(f, budget - window);
        global[l][h] = f.index_select(0, at::tensor(rows, at::kLong));
        for (int64_t i = n - window; i < n; ++i) rows.push_back(i);
        return rows;
      },
      25);
}

TEST(Eviction, AScorerWithoutStateEvictsToo) {
  // KeyDiff at every step: the row closest to the anchor of those present goes.
  follow(
      policy("{scorer: keydiff, allocator: ada, decode: {when: overflow, budget: 20}}"), 0.5,
      [](const Uncut& step, int64_t l, int64_t h) {
        const at::Tensor keys = keys_of(step.cache, l, h).to(at::kDouble);
        const at::Tensor unit = keys / keys.norm(2, {-1}, true);
        const at::Tensor anchor = unit.mean(0);
        return highest(-at::mv(unit, anchor) / anchor.norm(), std::min<int64_t>(20, keys.size(0)));
      },
      10);
}

TEST(Eviction, ABatchEvictsAsEachSequenceAlone) {
  std::vector<Policy> policies;
  for (const char* text : {"tova_decode", "h2o_decode", "snapkv", "full",
                           "{scorer: {name: gkv, window: 4}, allocator: ada, decode: {when: "
                           "interval, interval: 4}}"}) {
    policies.push_back(policy(text));
  }
  const auto answer = [](std::vector<CompressedCache>& caches) {
    std::vector<GrowingCache> growing;
    for (auto& cache : caches) growing.push_back(cache.growing());
    return generate(tiny_model(), growing, {5, 6, 7}, {16, {}});
  };
  std::vector<CompressedCache> together;
  for (size_t i = 0; i < policies.size(); ++i) {
    // Contexts of their own, and of different lengths.
    const auto length = static_cast<int64_t>(60 + 13 * i);
    together.push_back(cut(policies[i], some_tokens(length, static_cast<int64_t>(31 + i)), 0.5));
  }
  const auto of_batch = answer(together);
  for (size_t i = 0; i < policies.size(); ++i) {
    std::vector<CompressedCache> alone;
    const auto length = static_cast<int64_t>(60 + 13 * i);
    alone.push_back(cut(policies[i], some_tokens(length, static_cast<int64_t>(31 + i)), 0.5));
    for (size_t l = 0; l < alone[0].kept.size(); ++l) {
      EXPECT_EQ(alone[0].kept[l].positions, together[i].kept[l].positions);
    }
    EXPECT_EQ(answer(alone)[0].tokens, of_batch[i].tokens) << policies[i].name();
    if (alone[0].eviction == nullptr) continue;
    for (int64_t l = 0; l < 2; ++l) {
      EXPECT_EQ(alone[0].eviction->kept(l).positions, together[i].eviction->kept(l).positions);
    }
  }
}

// Budgets that are not above the scorer's window of 32: what is held cannot be ranked, so the
// latest tokens stay.
TEST(Eviction, BudgetsBelowTheWindowKeepTheLatestTokens) {
  const auto profile = write_test_profile("eviction", tiny_model().config(), 4, 32);
  const std::string lukv =
      fmt::format("{{name: lukv, profile: {}, table: table}}", profile.string());
  for (const std::string& allocator : {std::string("uniform"), std::string("ada"), lukv}) {
    const Policy snapkv = policy(
        fmt::format("{{scorer: snapkv, allocator: {}, decode: {{when: overflow}}}}", allocator));
    const Policy gkv = policy(fmt::format(
        "{{scorer: gkv, allocator: {}, decode: {{when: interval, interval: 3, budget: 5}}}}",
        allocator));
    const Policy h2o = policy(fmt::format(
        "{{scorer: h2o, allocator: {}, decode: {{when: overflow, budget: 4}}}}", allocator));
    for (const Policy* asked : {&snapkv, &gkv, &h2o}) {
      for (const int64_t n_tokens : {249, 512}) {
        for (const double ratio : {0.5, 0.9}) {
          SCOPED_TRACE(fmt::format("{} {} {}", asked->canonical(), n_tokens, ratio));
          const CompressedCache made = cut(*asked, some_tokens(n_tokens), ratio);
          ASSERT_NE(made.eviction, nullptr);
          const auto answers = generate(tiny_model(), {made.growing()}, {5, 6, 7}, {16, {}});
          EXPECT_EQ(answers[0].error, "");
          EXPECT_EQ(answers[0].tokens.size(), 16u);
        }
      }
    }
  }
  std::filesystem::remove(profile);
  const Policy snapkv = policy("{preset: snapkv, decode: {when: overflow}}");
  const CompressedCache made = cut(snapkv, some_tokens(249), 0.9);
  generate(tiny_model(), {made.growing()}, {5, 6, 7}, {16, {}});
  std::vector<int64_t> latest;  // 24 of 249 + 3 + 15 tokens
  for (int64_t position = 267 - 24; position < 267; ++position) latest.push_back(position);
  for (int64_t h = 0; h < 2; ++h) {
    const KeptTokens kept = made.eviction->kept(1);
    EXPECT_EQ(std::vector(kept.positions.begin() + kept.offsets[h],
                          kept.positions.begin() + kept.offsets[h + 1]),
              latest);
  }
}

// Tokens held by each head of layer 0 after the prefill and after every pass of one token.
std::vector<int64_t> held_by_step(const Policy& policy, int64_t n_prompt, int64_t n_steps) {
  CompressedCache made = cut(policy, some_tokens(n_prompt), 0.5);
  const auto held = [&] {
    const auto& lengths = made.cache->layer(0).lengths;
    EXPECT_EQ(lengths[0], lengths[1]);
    EXPECT_EQ(std::ssize(made.eviction->kept(0).positions), 2 * lengths[0]);
    return lengths[0];
  };
  std::vector<int64_t> all = {held()};
  DecodeBatch batch({made.cache.get()});
  std::vector<std::string> errors;
  for (int64_t i = 0; i < n_steps; ++i) {
    extend_and_evict(tiny_model(), at::full({1, 1}, i % 96, at::kLong), batch, {made.growing()},
                     errors);
    EXPECT_EQ(errors[0], "");
    all.push_back(held());
  }
  return all;
}

// The rule alone cuts the prefill, to no share of it, and by the same grid as what follows.
TEST(Eviction, AnAbsoluteBudgetOnAGrid) {
  const Policy gkv = policy(
      "{scorer: {name: gkv, window: 4}, allocator: uniform,"
      " decode: {when: grid, interval: 4, budget: 12}}");
  EXPECT_TRUE(gkv.ignores_ratio());
  using Held = std::vector<int64_t>;
  EXPECT_EQ(held_by_step(gkv, 60, 9), (Held{12, 13, 14, 15, 12, 13, 14, 15, 12, 13}));
  EXPECT_EQ(held_by_step(gkv, 8, 9), (Held{8, 9, 10, 11, 12, 13, 14, 15, 12, 13}));
  EXPECT_EQ(held_by_step(gkv, 1, 4), (Held{1, 2, 3, 4, 5}));
  // What the prefill's cut leaves has a global score, what it does not cut has none yet.
  EXPECT_EQ(cut(gkv, some_tokens(60), 0.5).eviction->carried(1, 1).size(1), 8);
  EXPECT_FALSE(cut(gkv, some_tokens(8), 0.5).eviction->carried(1, 1).defined());
}

// A context of any length is taken, its first tokens said before anything is above the budget too.
TEST(Eviction, AbsoluteBudgetsTakeEveryLength) {
  for (const char* preset :
       {"gkv", "gkv_h2o", "rkv", "vase", "vase_pp", "random_pp", "random_unified", "recency_pp"}) {
    PolicySpec spec = parse_policy_text(preset);
    for (auto& given : spec.decode.params) {
      if (given.key == "budget") given.text = "64";
      if (given.key == "interval") given.text = "32";
    }
    const Policy asked(spec);
    EXPECT_EQ(asked.least_tokens(), 0);
    for (const int64_t n_tokens : {1, 2, 7, 63, 64, 65, 90}) {
      SCOPED_TRACE(fmt::format("{} {}", preset, n_tokens));
      const CompressedCache made = cut(asked, some_tokens(n_tokens), 0.9);
      const auto answer = generate(tiny_model(), {made.growing()}, {5, 6, 7}, {64, {}})[0];
      EXPECT_EQ(answer.error, "");
      EXPECT_EQ(answer.tokens.size(), 64u);
      EXPECT_LE(made.cache->layer(1).lengths[0], 64 + 32 + 2);
    }
  }
}

// R-KV's kept tokens lie by rank, in the buffers as in what the eviction knows, the window behind.
TEST(Eviction, RowsByRank) {
  const Policy rkv = policy(
      "{scorer: {name: rkv, window: 4, kernel: 1}, allocator: uniform,"
      " decode: {when: seen, interval: 8, budget: 12}}");
  CompressedCache made = cut(rkv, some_tokens(60), 0.5);
  tiny_model().prefill(some_tokens(60), [&](const LayerView& layer) {
    const at::Tensor scores = rkv.score(layer).scores;
    const KeptTokens kept = made.eviction->kept(layer.index);
    EXPECT_EQ(kept.positions, made.kept[layer.index].positions);
    for (int64_t h = 0; h < 2; ++h) {
      const std::vector<int64_t> rows(kept.positions.begin() + kept.offsets[h],
                                      kept.positions.begin() + kept.offsets[h + 1]);
      const at::Tensor of_rows = scores[h].index_select(0, at::tensor(rows, at::kLong));
      EXPECT_TRUE(of_rows.narrow(0, 1, 7).le(of_rows.narrow(0, 0, 7)).all().item<bool>());
      EXPECT_EQ(std::vector(rows.end() - 4, rows.end()), (std::vector<int64_t>{56, 57, 58, 59}));
      EXPECT_TRUE(at::equal(keys_of(*made.cache, layer.index, h),
                            layer.keys[h].index_select(0, at::tensor(rows, at::kLong))));
    }
  });
  EXPECT_EQ(held_by_step(rkv, 60, 14),
            (std::vector<int64_t>{12, 13, 14, 15, 16, 12, 13, 14, 15, 16, 17, 18, 19, 12, 13}));
}

// What each head of layer 1 holds after 40 tokens, beginning with a prompt of n_prompt.
std::vector<std::vector<int64_t>> kept_after(const Policy& policy, int64_t n_prompt,
                                             uint64_t seed = 0) {
  CompressOptions options;
  options.seed = seed;
  Compressed made =
      compress_context(tiny_model(), some_tokens(n_prompt), {{&policy, 0.5}}, options);
  const auto answers = generate(tiny_model(), {made.caches[0].growing()}, {}, {41, {}});
  EXPECT_EQ(answers[0].error, "");
  const KeptTokens kept = made.caches[0].eviction->kept(1);
  std::vector<std::vector<int64_t>> heads;
  for (int64_t h = 0; h < 2; ++h) {
    heads.emplace_back(kept.positions.begin() + kept.offsets[h],
                       kept.positions.begin() + kept.offsets[h + 1]);
  }
  return heads;
}

TEST(Eviction, ThePromptStays) {
  const auto with = [](const std::string& scorer) {
    return policy(
        fmt::format("{{scorer: {}, allocator: uniform, protect: {{prompt: true, recent: "
                    "4}}, decode: {{when: held, interval: 4, budget: 16}}}}",
                    scorer));
  };
  const Policy random = with("random"), recency = with("{name: position, sink: 0}");
  using Rows = std::vector<int64_t>;
  // Cut to 16 at 48 tokens: the prompt's 8 and the latest 8.
  EXPECT_EQ(kept_after(recency, 8)[0],
            (Rows{0, 1, 2, 3, 4, 5, 6, 7, 40, 41, 42, 43, 44, 45, 46, 47}));
  const auto heads = kept_after(random, 8, 1);
  for (const Rows& head : heads) {
    ASSERT_EQ(head.size(), 16u);
    EXPECT_EQ(Rows(head.begin(), head.begin() + 8), (Rows{0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_EQ(Rows(head.end() - 4, head.end()), (Rows{44, 45, 46, 47}));
  }
  EXPECT_NE(heads[0], heads[1]);
  EXPECT_EQ(kept_after(random, 8, 1), heads);
  EXPECT_NE(kept_after(random, 8, 2), heads);
  // A longer prompt leaves one place to the others, and the latest stay: 60 tokens, 11 + 1 + 4.
  const Rows longer = kept_after(recency, 20)[0];
  EXPECT_EQ(longer, (Rows{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 55, 56, 57, 58, 59}));
}

// A pass attends to what it adds and to what is cut only behind it.
TEST(Eviction, AttendedEntriesAreThoseBeforeTheCut) {
  const Policy recency = policy(
      "{scorer: position, allocator: uniform, decode: {when: held, interval: 4, budget: 8}}");
  CompressedCache made = cut(recency, some_tokens(7), 0.5);
  const auto answer = generate(tiny_model(), {made.growing()}, {5}, {8, {}})[0];
  // Passes of one token: 8, 9, 10, 11, 12 (cut to 8), 9, 10, 11.
  EXPECT_EQ(answer.attended.most, 12);
  EXPECT_EQ(answer.attended.n_passes, 8);
  EXPECT_EQ(answer.attended.mean(), 80.0 / 8);
}

TEST(Eviction, DrawsDoNotDependOnTheBatch) {
  const Policy vase = policy(
      "{scorer: {name: vase, buffer: 4}, allocator: uniform,"
      " decode: {when: held, interval: 4, budget: 16}}");
  const Policy full = policy("full");
  const auto alone = kept_after(vase, 30, 5);
  EXPECT_EQ(alone[0].size(), 18u);  // 70 tokens, cut to 16 at 68
  CompressOptions options;
  options.seed = 5;
  Compressed made = compress_context(tiny_model(), some_tokens(30),
                                     {{&full, 0.0}, {&vase, 0.5}, {&vase, 0.5}}, options);
  std::vector<GrowingCache> growing;
  for (auto& cache : made.caches) growing.push_back(cache.growing());
  generate(tiny_model(), growing, {}, {41, {}});
  for (const size_t i : {1, 2}) {
    const KeptTokens kept = made.caches[i].eviction->kept(1);
    EXPECT_EQ(std::vector(kept.positions.begin(), kept.positions.begin() + 18), alone[0]);
    EXPECT_EQ(std::vector(kept.positions.begin() + 18, kept.positions.end()), alone[1]);
  }
}

TEST(Eviction, FailsItsOwnSequenceOnly) {
  // Heads that keep different tokens cannot be compared token by token.
  const Policy tova =
      policy("{scorer: knorm, allocator: ada, decode: {when: overflow, scorer: tova}}");
  const Policy full = policy("full");
  CompressedCache broken = cut(tova, some_tokens(60), 0.5), whole = cut(full, some_tokens(60), 0);
  const auto answers = generate(tiny_model(), {broken.growing(), whole.growing()}, {5, 6}, {6, {}});
  EXPECT_NE(answers[0].error.find("different tokens"), std::string::npos) << answers[0].error;
  EXPECT_EQ(answers[1].error, "");
  EXPECT_EQ(answers[1].tokens.size(), 6u);
}

// One budget for all heads of all layers: the prefill's best entries by their scores as they are,
// and no more after any number of cuts.
TEST(Eviction, OneBudgetGoesToTheBestOfAllHeads) {
  constexpr int64_t kTokens = 70, kBudget = 20, kInterval = 16;
  const Policy shared = policy(fmt::format(
      "{{scorer: knorm, allocator: global, decode: {{when: seen, interval: {}, budget: {}}}}}",
      kInterval, kBudget));
  std::vector<at::Tensor> scores;
  CompressOptions options;
  options.keep_positions = true;
  options.on_scores = [&](const std::string&, int64_t, const at::Tensor& layer) {
    scores.push_back(layer);
  };
  Compressed made = compress_context(tiny_model(), some_tokens(kTokens), {{&shared, 0.5}}, options);
  ASSERT_EQ(made.caches[0].error, "");
  const at::Tensor all = at::stack(scores);  // [L, H, T]
  const int64_t n_heads = all.size(0) * all.size(1);
  const at::Tensor lowest = std::get<0>(all.flatten().topk(n_heads * kBudget)).min();
  for (int64_t l = 0; l < all.size(0); ++l) {
    const KeptTokens& kept = made.caches[0].kept[l];
    for (int64_t h = 0; h < all.size(1); ++h) {
      const at::Tensor want = all[l][h].ge(lowest).nonzero().flatten();
      const std::vector<int64_t> got(kept.positions.begin() + kept.offsets[h],
                                     kept.positions.begin() + kept.offsets[h + 1]);
      EXPECT_TRUE(at::equal(at::tensor(got, at::kLong), want)) << l << " " << h;
      EXPECT_EQ(made.caches[0].keep_counts[l * all.size(1) + h], std::ssize(got));
    }
  }
  const KvCache& cache = *made.caches[0].cache;
  generate(tiny_model(), {made.caches[0].growing()}, {5}, {3 * kInterval, {}});
  int64_t n_held = 0;
  for (int64_t l = 0; l < all.size(0); ++l) {
    for (const auto length : cache.layer(l).lengths) n_held += length;
  }
  EXPECT_LE(n_held, n_heads * (kBudget + kInterval));
}

TEST(Eviction, PhasesAreChecked) {
  const auto error = [](const std::string& text) -> std::string {
    try {
      policy(text);
    } catch (const InputError& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_NE(error("{scorer: expected_attention, allocator: uniform, decode: {when: overflow}}")
                .find("expected one of"),
            std::string::npos);
  EXPECT_NE(error("{scorer: keydiff, allocator: uniform, decode: {when: overflw}}")
                .find("did you mean overflow?"),
            std::string::npos);
  EXPECT_NE(error("{scorer: keydiff, allocator: uniform, decode: {budgt: 3}}").find("budget"),
            std::string::npos);
  EXPECT_NE(error("{scorer: keydiff, allocator: uniform, decode: {interval: 0}}").find("interval"),
            std::string::npos);
  EXPECT_NE(error("{scorer: keydiff, allocator: ada, prefill: {chunk: 8}}").find("allocator ada"),
            std::string::npos);
  EXPECT_NE(error("{scorer: expected_attention, allocator: uniform, prefill: {chunk: 8}}")
                .find("expected one of"),
            std::string::npos);
  EXPECT_NE(error("{scorer: keydiff, allocator: uniform, prefill: {chunk: 8}, decode: {scorer: "
                  "knorm}}")
                .find("the policy's own"),
            std::string::npos);
  EXPECT_NE(error("{scorer: gkv, allocator: ada, decode: {when: grid, budget: 9}}").find("uniform"),
            std::string::npos);
  // One budget for all heads needs scores of tokens one by one.
  for (const char* scorer : {"tova", "gkv"}) {
    EXPECT_NE(
        error(fmt::format("{{scorer: {}, allocator: global, decode: {{when: grid, budget: 9}}}}",
                          scorer))
            .find("cannot compare heads of different lengths"),
        std::string::npos)
        << scorer;
  }
  EXPECT_NE(error("{scorer: gkv, allocator: uniform, decode: {when: grid}}").find("knows no ratio"),
            std::string::npos);
  EXPECT_NE(error("{scorer: gkv, allocator: uniform, protect: {prompt: true}}").find("prompt"),
            std::string::npos);
}

}  // namespace
}  // namespace kvbench
