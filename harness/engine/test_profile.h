// For tests: a profile of any small model.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "harness/base/hdf5.h"
#include "harness/base/test_util.h"
#include "harness/model/model_config.h"
#include "policies/lukv/calibration.h"
#include "policies/lukv/mean_curve.h"

namespace kvbench {

// A profile for allocators that read one: heads differ, and each row's mean is its ratio.
inline std::filesystem::path write_test_profile(const std::string& test, const ModelConfig& model,
                                                int64_t sink, int64_t window) {
  const int64_t n_layers = model.n_layers, n_heads = model.n_kv_heads;
  std::vector<float> values;
  for (int64_t row = 0; row < 99; ++row) {
    const double ratio = static_cast<double>(row + 1) / 100;
    const double reach = 0.5 * std::min(ratio, 1 - ratio);
    const int64_t n = n_layers * n_heads;
    for (int64_t i = 0; i < n; ++i) {
      const double tilt = n > 1 ? 2.0 * static_cast<double>(i) / static_cast<double>(n - 1) - 1 : 0;
      values.push_back(static_cast<float>(ratio + tilt * reach));
    }
  }
  const auto path = process_folder() / (test + "_profile.h5");
  const h5::File file(path, h5::Mode::kCreate);
  h5::write_array<float>(file, "table", {99, n_layers, n_heads}, values);
  const auto write_rising = [&](const char* name, int64_t n) {
    std::vector<float> rising;
    for (int64_t i = 0; i < n_layers * n_heads * n; ++i) {
      rising.push_back(static_cast<float>((i % n) * (1 + i / n)));  // heads differ here too
    }
    h5::write_array<float>(file, name, {n_layers, n_heads, n}, rising);
  };
  write_rising("mean_curve", lukv::kParts);
  write_rising("calibration_scores", lukv::kKnots);
  write_rising("calibration_importance", lukv::kKnots);
  h5::write_attribute(file, "/", "sink", sink);
  h5::write_attribute(file, "/", "window", window);
  return path;
}

}  // namespace kvbench
