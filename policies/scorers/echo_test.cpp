#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "policies/repeats.h"
#include "policies/scorers/testing.h"
#include "policies/virtual_repeat.h"

namespace kvbench {
namespace {

constexpr int64_t kTokens = 30;
const std::vector<int32_t> kContext(kTokens, 3);

ContextFrame frame() {
  return {0, {7}, [](const std::string&) { return std::vector<int32_t>{1, 2}; }};
}

LayerView view(int64_t index) {
  LayerView layer = testing::random_view(kTokens);
  layer.keys = layer.keys + 0.1 * static_cast<double>(index);
  layer.index = index;
  return layer;
}

// Two layers; the pass of the first chunk, if there is one, is of other values.
std::vector<at::Tensor> scores(std::vector<Params::Given> given) {
  given.push_back({"chunk_size", "13"});
  const auto scorer = testing::scorer("echo", given);
  const auto made = scorer->reconstruct(kContext, frame());
  for (int64_t l = 0; l < 2; ++l) made->add_layer(view(l));
  for (const auto& ids : made->passes()) {
    EXPECT_EQ(std::ssize(ids), 13);  // request, tail and ten tokens
    for (int64_t l = 0; l < 2; ++l) {
      LayerView seen = testing::random_view(kTokens + 13);
      seen.index = l;
      seen.queries = seen.queries.narrow(1, kTokens, 13);
      made->observe(0, seen, {});
    }
  }
  return made->scores();
}

TEST(Echo, WithoutAPassAllIsForetold) {
  const auto got = scores({{"exact_first", "false"}, {"calibrate", "none"}});
  for (const Repeat& repeat : repeats_of(kContext, frame(), 13, /*fit_first=*/true)) {
    const int64_t first = std::max<int64_t>(repeat.begin, 4), n = repeat.end - first;
    testing::expect_near(
        got[1].narrow(1, first, n),
        virtual_repeat_scores(view(1), repeat, 4).narrow(1, first - repeat.begin, n), 0);
  }
}

// A map keeps a head's own order; those of a layer or of all mix heads of unlike scales.
TEST(Echo, CalibrationKeepsTheOrderOfAHead) {
  const auto plain = scores({{"calibrate", "none"}}), mapped = scores({{"calibrate", "head"}});
  const auto later = [](const at::Tensor& x) { return x.narrow(1, 10, 20); };
  testing::expect_near(plain[0].narrow(1, 4, 6), mapped[0].narrow(1, 4, 6), 0);
  EXPECT_FALSE(at::allclose(later(plain[0]), later(mapped[0])));
  const at::Tensor order = std::get<1>(later(plain[0]).sort(1));
  const at::Tensor sorted = later(mapped[0]).gather(1, order);
  EXPECT_GE(sorted.diff(1, 1).min().item<float>(), 0);
  const auto layer = scores({{"calibrate", "layer"}}), global = scores({{"calibrate", "global"}});
  EXPECT_FALSE(at::allclose(later(mapped[0]), later(layer[0])));
  EXPECT_FALSE(at::allclose(later(layer[0]), later(global[0])));
}

TEST(Echo, TheOtherDirectionChangesTheFirstChunk) {
  const auto plain = scores({{"calibrate", "none"}});
  const auto turned = scores({{"direction", "exact_to_virtual"}});
  EXPECT_TRUE(at::equal(plain[0].narrow(1, 10, 20), turned[0].narrow(1, 10, 20)));
  EXPECT_FALSE(at::allclose(plain[0].narrow(1, 4, 6), turned[0].narrow(1, 4, 6)));
}

TEST(Echo, GuardsTheStartOfEachChunk) {
  const at::Tensor got = scores({{"guard", "2"}})[0];
  for (const int64_t begin : {10, 23}) {
    EXPECT_EQ(got.narrow(1, begin, 2).min().item<float>(), 1);
    EXPECT_LT(got.narrow(1, begin + 2, 2).max().item<float>(), 1);
  }
}

TEST(Echo, RefusesAMapWithoutWhatItLearnsFrom) {
  EXPECT_THROW(testing::scorer("echo", {{"exact_first", "false"}}), InputError);
  EXPECT_NO_THROW(testing::scorer("echo", {{"exact_first", "false"}, {"calibrate", "none"}}));
}

}  // namespace
}  // namespace kvbench
