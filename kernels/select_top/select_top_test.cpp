#include "kernels/select_top/select_top.h"

#include "kernels/common/test_device.h"

namespace kvbench {
namespace {

struct Selected {
  std::vector<int32_t> positions, offsets, invalid;
  bool operator==(const Selected&) const = default;
};

// What the operator under test, or the reference, makes of it; positions end with the last head's.
Selected run(const std::vector<float>& scores, const std::vector<int32_t>& counts, int64_t n_tokens,
             int64_t sink, int64_t recent, int64_t room, bool reference) {
  SelectTop op;
  op.n_heads = std::ssize(counts);
  op.n_tokens = n_tokens;
  op.sink = sink;
  op.recent = recent;
  op.n_positions = room;
  Selected out = {std::vector<int32_t>(room), std::vector<int32_t>(counts.size() + 1),
                  std::vector<int32_t>(counts.size())};
  if (reference) {
    op.scores = scores.data();
    op.counts = counts.data();
    op.positions = out.positions.data();
    op.offsets = out.offsets.data();
    op.invalid = out.invalid.data();
    select_top_reference(op);
  } else {
    TestArray in(scores);
    TestArray of_heads(counts);
    TestArray positions(std::vector<int32_t>(room, -1));  // the operator may leave some
    TestArray<int32_t> offsets(counts.size() + 1), invalid(counts.size());
    op.scores = in.data();
    op.counts = of_heads.data();
    op.positions = positions.data();
    op.offsets = offsets.data();
    op.invalid = invalid.data();
    [&] { KVB_RUN(select_top, op); }();
    out = {positions.read(), offsets.read(), invalid.read()};
  }
  out.positions.resize(out.offsets.back());
  return out;
}

void expect_as_reference(const std::vector<float>& scores, const std::vector<int32_t>& counts,
                         int64_t sink, int64_t recent, int64_t room) {
  const int64_t n_tokens = std::ssize(scores) / std::ssize(counts);
  const Selected got = run(scores, counts, n_tokens, sink, recent, room, /*reference=*/false);
  const Selected want = run(scores, counts, n_tokens, sink, recent, room, /*reference=*/true);
  EXPECT_EQ(got.positions, want.positions);
  EXPECT_EQ(got.offsets, want.offsets);
  EXPECT_EQ(got.invalid, want.invalid);
}

TEST(SelectTopOperator, HandWorked) {
  // Ties at 2 go to the lower position; 0.0 and -0.0 tie.
  const Selected got = run({1, 2, 3, 2, 2, 0.0F, -0.0F, -1, 0.0F, 5}, {3, 2}, 5, 0, 0, 5, false);
  EXPECT_EQ(got.positions, (std::vector<int32_t>{1, 2, 3, 0, 4}));
  EXPECT_EQ(got.offsets, (std::vector<int32_t>{0, 3, 5}));
}

// Heads that keep nothing, one token and all; sizes below and above a block; many ties; negative
// and large scores.
TEST(SelectTopOperator, EqualsTheReference) {
  for (const int64_t n_tokens : {1, 31, 64, 700}) {
    const auto n = static_cast<int32_t>(n_tokens);
    const std::vector<int32_t> counts = {0, 1, n, n / 2, n / 3};
    const int64_t room = 1 + n + n / 2 + n / 3;
    std::vector<float> scores = random_values(5 * n_tokens, n_tokens, DType::kFloat32, 1e4F);
    expect_as_reference(scores, counts, 0, 0, room);
    expect_as_reference(scores, counts, 3, 5, room);
    expect_as_reference(scores, counts, 0, n_tokens + 7, room);
    expect_as_reference(scores, counts, n_tokens, 2, room + 9);
    for (float& x : scores) x = std::round(x / 6000);  // a few values, zeros of both signs
    expect_as_reference(scores, counts, 0, 0, room);
    expect_as_reference(scores, counts, 2, 1, room);
  }
}

// More tokens than a block takes in one round, ties on both sides of its end.
TEST(SelectTopOperator, ManyTokens) {
  for (const uint64_t seed : {1, 2, 3}) {
    std::vector<float> scores = random_values(2 * 4201, seed);
    for (float& x : scores) x = std::round(3 * x);
    expect_as_reference(scores, {3000, 700}, 5, 9, 3700);
  }
}

TEST(SelectTopOperator, SaysWhatIsImpossible) {
  const float nan = std::nanf("");
  const std::vector<float> scores = {1, 2, nan, 4, 5, 6, 7, 8, 9, -nan, 1, 1};
  expect_as_reference(scores, {1, 2, 1, 1}, 0, 0, 5);
  expect_as_reference({1, 2, 3, 4, 5, 6}, {-1, 3}, 0, 0, 3);
  expect_as_reference({1, 2, 3, 4, 5, 6}, {4, 2}, 0, 0, 6);
  expect_as_reference({1, 2, 3, 4, 5, 6}, {2, 2}, 0, 0, 3);  // no room for the second head
}

}  // namespace
}  // namespace kvbench
