#include "kernels/cache_attention.h"

#include "kernels/decode_plan.h"
#include "kernels/test_device.h"

namespace kvbench {
namespace {

struct Case {
  int64_t n_tokens, group, head_dim;
  DType dtype;
  std::vector<int64_t> lengths;  // [S, 2], new tokens included
  int64_t window = 0;
  bool planned = false;
};

// Every head behind a gap of rows that nobody may read: as NaNs they would show.
void expect_as_reference(const Case& c) {
  SCOPED_TRACE(testing::Message() << "m " << c.n_tokens << ", group " << c.group << ", d "
                                  << c.head_dim << ", dtype " << static_cast<int>(c.dtype)
                                  << ", window " << c.window);
  constexpr int64_t kHeads = 2, kGap = 3;
  std::vector<int64_t> starts;
  std::vector<float> keys, values;
  for (const int64_t length : c.lengths) {
    keys.resize(keys.size() + kGap * c.head_dim, NAN);
    values.resize(keys.size(), NAN);
    starts.push_back(std::ssize(keys) / c.head_dim);
    const auto n = static_cast<size_t>(length * c.head_dim);
    const auto k = random_values(n, 1 + keys.size(), c.dtype);
    const auto v = random_values(n, 2 + keys.size(), c.dtype);
    keys.insert(keys.end(), k.begin(), k.end());
    values.insert(values.end(), v.begin(), v.end());
  }
  const int64_t n_sequences = std::ssize(c.lengths) / kHeads, n_heads = kHeads * c.group;
  const auto query =
      encode(random_values(n_sequences * c.n_tokens * n_heads * c.head_dim, 3, c.dtype), c.dtype);
  auto key_bytes = encode(keys, c.dtype), value_bytes = encode(values, c.dtype);
  std::vector<uint8_t> want(query.size());
  CacheAttention op;
  op.cache = {n_sequences,     kHeads,           c.head_dim,         std::ssize(keys) / c.head_dim,
              c.dtype,         key_bytes.data(), value_bytes.data(), starts.data(),
              c.lengths.data()};
  op.n_tokens = c.n_tokens;
  op.n_heads = n_heads;
  op.scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  op.window = c.window;
  op.query = query.data();
  op.out = want.data();
  cache_attention_reference(op);

  TestArray device_keys(key_bytes), device_values(value_bytes), device_query(query);
  TestArray device_starts(starts), device_lengths(c.lengths);
  TestArray<uint8_t> out(want.size());
  op.cache.keys = device_keys.data();
  op.cache.values = device_values.data();
  op.cache.starts = device_starts.data();
  op.cache.lengths = device_lengths.data();
  op.query = device_query.data();
  op.out = out.data();
  const DecodePlan plan = make_decode_plan(c.lengths, 12);
  TestArray work(plan.work);
  TestArray first(plan.first);
  if (c.planned) {
    op.work = work.data();
    op.first_work = first.data();
    op.n_work = std::ssize(plan.work);
  }
  TestArray<uint8_t> workspace(kTestsCuda ? cache_attention_workspace_bytes(op) : 1);
  op.workspace = workspace.data();
  KVB_RUN(cache_attention, op);
  // A mean of values of size 1: its terms' float sums, and one rounding of the output.
  expect_near(decode(out.read(), c.dtype), decode(want, c.dtype), 2 * rounding(c.dtype), 1e-5);
}

TEST(CacheAttentionOperator, EqualsTheReference) {
  for (const DType dtype : kDTypes) {
    for (const int64_t d : {16, 64, 80, 96, 128, 256}) {
      expect_as_reference({1, 3, d, dtype, {1, 31, 70, 2}});
    }
    for (const int64_t group : {1, 2, 4, 7, 8, 9}) {
      expect_as_reference({1, group, 64, dtype, {5, 90}});
      expect_as_reference({1, group, 64, dtype, {5, 300, 1, 64}, 0, /*planned=*/true});
    }
  }
}

// Question tokens see what is before them; windows see the last rows.
TEST(CacheAttentionOperator, QuestionsAndWindows) {
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    expect_as_reference({7, 3, 64, dtype, {7, 65, 8, 20}});
    expect_as_reference({5, 2, 128, dtype, {5, 33}, 0, /*planned=*/true});
    expect_as_reference({3, 4, 16, dtype, {40, 3}, 6});
    expect_as_reference({1, 1, 256, dtype, {40, 3}, 6});
    expect_as_reference({2, 3, 256, dtype, {19, 2}});
  }
}

}  // namespace
}  // namespace kvbench
