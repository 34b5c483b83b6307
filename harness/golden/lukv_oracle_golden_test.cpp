// Oracle importance on the real model, along the recorded tokens, against the arrays that the
// official profile code made (policies/lukv_profile.h5 of the reference).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/base/hdf5.h"
#include "harness/engine/observed_context.h"
#include "harness/golden/golden.h"

namespace kvbench {
namespace {

at::Tensor read_floats(const h5::File& file, const std::string& name) {
  const auto array = h5::read_array<float>(file, name);
  return at::tensor(array.values).view(array.dims);
}

std::vector<int32_t> read_ids(const h5::File& file, const std::string& name) {
  return h5::read_array<int32_t>(file, name).values;
}

// Relative to the largest value of each layer, the sinks' share aside: [L, heads, T].
void expect_near_by_layer(const at::Tensor& got, const at::Tensor& want, double tolerance) {
  ASSERT_EQ(got.sizes(), want.sizes());
  const auto difference = (got - want).abs().amax({1, 2}) / want.abs().amax({1, 2});
  EXPECT_TRUE(difference.max().item<double>() <= tolerance) << difference.max().item<double>();
}

class LuKvOracleGolden : public testing::Test {
 protected:
  static const Decoder& model() {
    static const Decoder decoder(golden::model_dir(), at::kFloat, at::kCPU);
    return decoder;
  }

  // Calls `check` with every context that there is; skips when there is none.
  template <class F>
  void for_each_context(const std::string& dataset, F&& check) {
    const auto path = golden::reference_root() / "policies/lukv_profile.h5";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
    const h5::File file(path, h5::Mode::kRead);
    int n_contexts = 0;
    for (const auto& context : h5::list(file)) {
      if (!h5::exists(file, context + "/" + dataset)) continue;
      SCOPED_TRACE(context);
      check(file, context);
      ++n_contexts;
    }
    if (n_contexts == 0) GTEST_SKIP() << "no " << dataset << " in " << path;
  }
};

TEST_F(LuKvOracleGolden, ValueNorms) {
  for_each_context("value_norm", [](const h5::File& file, const std::string& context) {
    std::vector<at::Tensor> norms;
    model().prefill(read_ids(file, context + "/context_ids"), [&](const LayerView& layer) {
      norms.push_back(lukv::value_norms(layer, lukv::OracleNorm::kLayer));
    });
    expect_near_by_layer(at::stack(norms), read_floats(file, context + "/value_norm"), 1e-5);
  });
}

TEST_F(LuKvOracleGolden, Importance) {
  for_each_context("oracle", [](const h5::File& file, const std::string& context) {
    const auto generated = read_ids(file, context + "/generated_ids");
    ObservedContext observed(model(), read_ids(file, context + "/context_ids"), {},
                             lukv::OracleNorm::kLayer, 0);
    const auto replay = [&] {
      const auto recorded = [&](int64_t step, const at::Tensor&) {
        return int64_t{generated[step]};
      };
      return ObservedContext::importance(
          {{&observed, read_ids(file, context + "/suffix_ids"), recorded}},
          static_cast<int64_t>(generated.size()) - 1)[0];
    };
    const at::Tensor importance = replay();
    const at::Tensor want = read_floats(file, context + "/oracle");
    expect_near_by_layer(importance, want, 1e-3);
    // Tokens that matter at all, each by itself.
    const at::Tensor heavy = want > 1e-3 * want.amax({1, 2}, true);
    const at::Tensor difference = ((importance - want).abs() / want).masked_select(heavy);
    EXPECT_TRUE(difference.max().item<double>() <= 1e-3) << difference.max().item<double>();
    EXPECT_TRUE(at::equal(importance, replay()));  // a question leaves nothing behind
  });
}

}  // namespace
}  // namespace kvbench
