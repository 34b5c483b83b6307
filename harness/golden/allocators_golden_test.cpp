// Keep counts against arrays of the original implementations that need no model: kvpress's layer
// budgets over a grid of settings, and the authors' AdaKV on stored scores.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <numeric>

#include "harness/base/hdf5.h"
#include "harness/golden/golden.h"
#include "policies/allocator.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

std::unique_ptr<Allocator> make(const std::string& name, std::vector<Params::Given> given) {
  Params params("allocator " + name, "", std::move(given));
  auto made = Registry<Allocator>::instance().find(name).make(params);
  params.finish();
  return made;
}

// Calls `check` with every file that holds `dataset`; skips when there is none.
template <class F>
void for_each_file_with(const std::string& dataset, F&& check) {
  int n_files = 0;
  const auto folder = golden::reference_root() / "policies";
  for (const auto& path : golden::files_below(folder, ".h5")) {
    const h5::File file(path, h5::Mode::kRead);
    if (!h5::exists(file, dataset)) continue;
    SCOPED_TRACE(path.string());
    check(file);
    ++n_files;
  }
  if (n_files == 0) GTEST_SKIP() << "no file with " << dataset << " in " << folder;
}

TEST(AllocatorsGolden, PyramidGrid) {
  for_each_file_with("pyramid_grid", [](const h5::File& file) {
    // Rows: T, ratio, window, beta, then the count of each layer.
    const auto grid = h5::read_array<double>(file, "pyramid_grid");
    const int64_t n_layers = grid.dims[1] - 4;
    for (int64_t i = 0; i < grid.dims[0]; ++i) {
      const double* row = grid.values.data() + i * grid.dims[1];
      // The ratio was stored in float32 and is a decimal of a few places.
      const double ratio = std::stod(fmt::format("{:.6g}", row[1]));
      const auto pyramid = make(
          "pyramid", {{"window", fmt::format("{}", row[2])}, {"beta", fmt::format("{}", row[3])}});
      SCOPED_TRACE(fmt::format("T {} ratio {} window {} beta {}", row[0], ratio, row[2], row[3]));
      const at::Tensor scores = at::zeros({1, static_cast<int64_t>(row[0])});
      for (int64_t l = 0; l < n_layers; ++l) {
        EXPECT_EQ(pyramid->allocate({l, n_layers, ratio, scores}).on_host()[0],
                  static_cast<int64_t>(row[4 + l]))
            << "layer " << l;
      }
    }
  });
}

// KVCache-Factory's layer budgets, window 8 and beta 20.
TEST(AllocatorsGolden, PyramidInIntegerSteps) {
  for_each_file_with("peers", [](const h5::File& file) {
    const int64_t n_tokens = h5::dims(file, "context_ids")[0];
    const auto pyramid = make("pyramid", {{"integer_steps", "true"}, {"window", "8"}});
    for (const auto& ratio : h5::list(file, "peers")) {
      const std::string name = "peers/" + ratio + "/kvcf_pyramidkv_counts";
      if (!h5::exists(file, name)) continue;
      SCOPED_TRACE(name);
      const auto want = h5::read_array<int32_t>(file, name);
      const int64_t n_layers = want.dims[0], n_heads = want.dims[1];
      std::vector<int32_t> ours;
      for (int64_t l = 0; l < n_layers; ++l) {
        const auto counts = pyramid->allocate(
            {l, n_layers, std::stod(ratio.substr(1)), at::zeros({n_heads, n_tokens})}).on_host();
        ours.insert(ours.end(), counts.begin(), counts.end());
      }
      EXPECT_EQ(ours, want.values);
    }
  });
}

// The authors' AdaKV on SnapKV scores, window 32, floor 0.2.
TEST(AllocatorsGolden, AdaInBlendMode) {
  const std::string dataset = "scores/snapkv_w32k7max_groupmean_then_pool";
  for_each_file_with(dataset, [&](const h5::File& file) {
    if (!h5::exists(file, "peers")) return;
    const auto stored = h5::read_array<float>(file, dataset);
    const at::Tensor ranked = at::tensor(stored.values).view(stored.dims);  // [L, H, T - 32]
    const at::Tensor scores = at::constant_pad_nd(ranked, {0, 32}, 2);
    const auto ada = make("ada", {{"floor_mode", "blend"}, {"window", "32"}, {"alpha", "0.2"}});
    for (const auto& ratio : h5::list(file, "peers")) {
      const std::string name = "peers/" + ratio + "/adakv_authors_counts";
      if (!h5::exists(file, name)) continue;
      SCOPED_TRACE(name);
      const auto want = h5::read_array<int32_t>(file, name);
      const int64_t n_layers = want.dims[0], n_heads = want.dims[1];
      int n_different = 0;
      for (int64_t l = 0; l < n_layers; ++l) {
        const auto counts = ada->allocate({l, n_layers, std::stod(ratio.substr(1)), scores[l]}).on_host();
        for (int64_t h = 0; h < n_heads; ++h) {
          const int64_t difference = counts[h] - want.values[l * n_heads + h];
          n_different += difference != 0 ? 1 : 0;
          // Scores that nearly tie across heads, and the authors' order of those that do.
          EXPECT_LE(std::abs(difference), 2) << "layer " << l << ", head " << h;
        }
      }
      if (n_different > 0) fmt::print("{}: {} counts differ\n", name, n_different);
    }
  });
}

}  // namespace
}  // namespace kvbench
