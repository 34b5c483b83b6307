// For tests of allocators that read a profile: a file of the test's own, removed at its end.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "harness/base/error.h"
#include "harness/base/hdf5.h"
#include "harness/base/test_util.h"
#include "policies/allocator.h"
#include "policies/allocators/test_allocator.h"

namespace kvbench {

class ProfileFileTest : public testing::Test {
 protected:
  void SetUp() override { file_ = h5::File(path_, h5::Mode::kCreate); }

  // Dataset [n_layers, n_kv_heads, n]; value(head, i) with heads counted through the layers.
  void write(const std::string& name, int64_t n_layers, int64_t n_kv_heads, int64_t n,
             const std::function<double(int64_t, int64_t)>& value) {
    std::vector<float> values;
    for (int64_t head = 0; head < n_layers * n_kv_heads; ++head) {
      for (int64_t i = 0; i < n; ++i) values.push_back(static_cast<float>(value(head, i)));
    }
    h5::write_array<float>(file_, name, {n_layers, n_kv_heads, n}, values);
  }
  void write_protection(const std::string& group, int64_t sink, int64_t window) {
    h5::write_attribute(file_, group, "sink", sink);
    h5::write_attribute(file_, group, "window", window);
  }

  std::unique_ptr<Allocator> allocator(const std::string& name,
                                       std::vector<Params::Given> given = {}) {
    file_.close();
    given.push_back({"profile", path_.string()});
    return make_allocator(name, std::move(given));
  }

  // What making the allocator, or using it on two layers of two heads, complains about.
  std::string refusal(const std::string& name, std::vector<Params::Given> given = {}) {
    try {
      allocator(name, std::move(given))->validate({2, 2});
    } catch (const InputError& e) {
      return e.what();
    }
    return "no error";
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "profile.h5";
  h5::File file_;
};

}  // namespace kvbench
