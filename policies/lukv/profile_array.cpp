#include "policies/lukv/profile_array.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/hdf5.h"

namespace kvbench::lukv {
namespace {

constexpr int64_t kMaxHeads = 65536;         // of a model; bounds what a file can make us read
constexpr int64_t kMostProtected = 1 << 20;  // tokens

// What HDF5 complains about names the file and the object.
template <class F>
auto reading(F&& work) {
  try {
    return work();
  } catch (const InputError&) {
    throw;
  } catch (const std::runtime_error& e) {
    throw InputError(e.what());
  }
}

}  // namespace

ProfileArray::ProfileArray(std::filesystem::path path, std::string dataset, int64_t rows, Shape shape,
                           float low, float high, std::string_view meaning)
    : path_(std::move(path)), dataset_(std::move(dataset)), n_rows_(rows), shape_(shape) {
  reading([&] {
    const h5::File file(path_, h5::Mode::kRead);
    dims_ = h5::dims(file, dataset_);
    const size_t first = shape == Shape::kRowsFirst ? 1 : 0;  // of layers and heads
    const bool fits = dims_.size() == 3 && dims_[first == 1 ? 0 : 2] == rows && dims_[first] > 0 &&
                      dims_[first + 1] > 0 && dims_[first] <= kMaxHeads &&
                      dims_[first + 1] <= kMaxHeads / dims_[first];
    if (!fits) {
      fail(fmt::format(fmt::runtime(shape == Shape::kRowsFirst
                                        ? "expected shape [{}, layers, KV heads], found [{}]"
                                        : "expected shape [layers, KV heads, {}], found [{}]"),
                       rows, fmt::join(dims_, ", ")));
    }
    n_layers_ = dims_[first];
    n_kv_heads_ = dims_[first + 1];
    values_ = h5::read_array<float>(file, dataset_).values;
  });
  for (const float value : values_) {
    if (value >= low && value <= high) continue;  // NaN is neither
    fail(fmt::format("expected {} from {} to {}, found {}", meaning, low, high, value));
  }
}

void ProfileArray::require_model(int64_t n_layers, int64_t n_kv_heads) const {
  if (n_layers == n_layers_ && n_kv_heads == n_kv_heads_) return;
  std::vector<int64_t> expected = {n_layers, n_kv_heads};
  expected.insert(shape_ == Shape::kRowsFirst ? expected.begin() : expected.end(), n_rows_);
  fail(fmt::format("expected shape [{}] for this model, found [{}]", fmt::join(expected, ", "),
                   fmt::join(dims_, ", ")));
}

std::span<const float> ProfileArray::heads(int64_t row, int64_t layer) const {
  KVB_CHECK(shape_ == Shape::kRowsFirst, "{} has its rows last", dataset_);
  return std::span(values_).subspan((row * n_layers_ + layer) * n_kv_heads_, n_kv_heads_);
}

std::span<const float> ProfileArray::rows(int64_t head) const {
  KVB_CHECK(shape_ == Shape::kRowsLast, "{} has its rows first", dataset_);
  return std::span(values_).subspan(head * n_rows_, n_rows_);
}

void ProfileArray::require_nondecreasing() const {
  for (int64_t head = 0; head < n_layers_ * n_kv_heads_; ++head) {
    if (!std::ranges::is_sorted(rows(head))) {
      fail(fmt::format("expected values that do not decrease, found others in head {} of layer {}",
                       head % n_kv_heads_, head / n_kv_heads_));
    }
  }
}

void ProfileArray::fail(const std::string& reason) const {
  throw_input_error("{}: {}: {}", path_.string(), dataset_, reason);
}

Protection read_protection(const std::filesystem::path& path, const std::string& group) {
  return reading([&] {
    const h5::File file(path, h5::Mode::kRead);
    const std::string object = group.empty() ? "/" : group;
    const auto read = [&](const char* name) {
      const auto value = h5::read_attribute<int64_t>(file, object, name);
      if (value < 0 || value > kMostProtected) {
        throw_input_error("{}: {}: {}: expected 0 to {}, found {}", path.string(), object, name,
                          kMostProtected, value);
      }
      return value;
    };
    return Protection{read("sink"), read("window")};
  });
}

}  // namespace kvbench::lukv
