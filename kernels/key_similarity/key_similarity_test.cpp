#include "kernels/key_similarity/key_similarity.h"

#include "kernels/common/test_threads.h"

namespace kvbench {
namespace {

void expect_reference(int64_t H, int64_t T, int64_t d, DType dtype, std::vector<float> values) {
  const auto keys = encode(values, dtype);
  std::vector<float> want(H * T);
  KeySimilarity op = {H, T, d, dtype, {keys.data(), T * d, d}, want.data()};
  key_similarity_reference(op);
  TestArray in(keys);
  TestArray<float> out(want.size());
  TestArray<uint8_t> workspace(kTestsCuda ? key_similarity_workspace_bytes(op) : 0);
  op.keys.data = in.data();
  op.out = out.data();
  op.workspace = workspace.data();
  const auto run = [&] { KVB_RUN(key_similarity, op); };
  run();
  expect_near(out.read(), want, 2e-6);
  expect_same_with_any_threads(out, run);
}

// Keys around `n_kinds` centres: alike ones are about 0.6 alike, others are not, so that both sides
// of the threshold are met and some keys have nobody. No cosine comes within float's error of it.
std::vector<float> keys_of_kinds(int64_t H, int64_t T, int64_t d, int64_t n_kinds, DType dtype,
                                 uint64_t seed) {
  const auto centres = random_values(n_kinds * d, seed);
  auto keys = random_values(H * T * d, seed + 100, DType::kFloat32, 0.8F);
  for (int64_t t = 0; t < H * T; ++t) {
    for (int64_t c = 0; c < d && t % 5 != 0; ++c)
      keys[t * d + c] += centres[t * 7 % n_kinds * d + c];
  }
  return decode(encode(keys, dtype), dtype);
}

TEST(KeySimilarity, EqualsTheReference) {
  struct Shape {
    int64_t n_heads, n_rows, head_dim;
  };
  for (const DType dtype : kDTypes) {
    for (const auto& [H, T, d] : {Shape{2, 0, 64},
                                  {1, 1, 64},
                                  {2, 2, 16},
                                  {3, 31, 80},
                                  {1, 260, 64},
                                  {2, 65, 128},
                                  {1, 9, 256}}) {
      for (const uint64_t seed : {1, 2}) {
        expect_reference(H, T, d, dtype, keys_of_kinds(H, T, d, 6, dtype, seed));
      }
    }
  }
}

// Four copies of a key among others: the newest loses all penalties of the group, the second newest
// one of them, the others none.
TEST(KeySimilarity, TheNewestOfAlikeKeysIsSpared) {
  constexpr int64_t kTokens = 40, kDim = 64;
  auto keys = random_values(kTokens * kDim, 3);
  for (const int64_t copy : {17, 21, 33}) {
    std::copy_n(keys.begin() + 5 * kDim, kDim, keys.begin() + copy * kDim);
  }
  expect_reference(1, kTokens, kDim, DType::kFloat32, keys);
  TestArray in(encode(keys, DType::kFloat32));
  TestArray<float> out(size_t{kTokens});
  KeySimilarity op = {1, kTokens, kDim, DType::kFloat32, {in.data(), 0, kDim}, out.data()};
  TestArray<uint8_t> workspace(kTestsCuda ? key_similarity_workspace_bytes(op) : 0);
  op.workspace = workspace.data();
  KVB_RUN(key_similarity, op);
  const auto c = out.read();
  const auto more = [&](int64_t a, int64_t b) { return kTokens * std::log(c[a] / c[b]); };
  EXPECT_NEAR(more(5, 17), 0, 1e-3);
  EXPECT_NEAR(more(5, 21), 1, 1e-3);
  EXPECT_NEAR(more(5, 33), 3, 1e-3);
}

}  // namespace
}  // namespace kvbench
