// How many tokens every head gives up, for any number of totals in one sweep. policies.md 4.4.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "policies/lukv/convex_minorant.h"

namespace kvbench::lukv {

inline constexpr int64_t kRatios = 99;  // a profile's rows: 1 to 99 percent removed

// Convexified curves of all heads, [n_heads], layer-major when they are a model's.
using Curves = std::vector<std::vector<Segment>>;

// Discarded tokens of every head for each of the ascending totals, [n_totals, n_heads]:
// minimises the sum of the curves subject to sum d = total, 0 <= d <= max_discards. All segments
// are sorted once by (slope, head) and taken whole in that order, the last one of a total in part;
// so the rows are nested, and of equal slopes the lower head goes first. A total beyond what the
// heads may give up takes all of that.
std::vector<int32_t> discard_counts(std::span<const std::vector<Segment>> curves,
                                    int64_t max_discards, std::span<const int64_t> totals);

// What every head keeps at least: max(round(share * T), sink + window) tokens.
int64_t min_keep_tokens(double share, int64_t n_tokens, int64_t sink, int64_t window);

// round(i / 100 * n_entries), i = 1 ... 99: the tokens that a row discards (half to even).
std::vector<int64_t> ratio_totals(int64_t n_entries);

enum class Scope {
  kGlobal,  // heads of all layers compete for one total
  kLayer,   // each layer discards the ratio of its own entries
};

// Discarded tokens at the ratios 1 ... 99 %, [99, L, H], for curves [L * H] of a context of
// n_tokens, each head keeping at least min_keep tokens. All tokens count, protected ones too.
std::vector<int32_t> discard_table(const Curves& curves, int64_t n_kv_heads, int64_t n_tokens,
                                   int64_t min_keep, Scope scope);

// What all heads of a model give up of one context at a ratio: exactly round(ratio * n_heads * T)
// tokens (half to even), or as many as leave one to each. Every head keeps min_keep_tokens(), or,
// where the budget is too small for that, an even share of it, and always one.
struct DiscardPlan {
  DiscardPlan(double ratio, int64_t n_heads, int64_t n_tokens, int64_t sink, int64_t window);

  int64_t total;         // discarded by all heads together
  int64_t n_free;        // tokens of a head that are not protected
  int64_t max_discards;  // of a head
};
inline constexpr double kMinKeep = 0.01;  // of T

// Spreads what `discards` [n_heads] lack of plan.total evenly: heads that have given up all their
// unprotected tokens go on with protected ones.
std::vector<int64_t> complete(const DiscardPlan& plan, std::vector<int64_t> discards);

}  // namespace kvbench::lukv
