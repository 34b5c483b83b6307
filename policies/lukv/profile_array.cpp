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

ProfileArray::ProfileArray(std::filesystem::path path, std::string dataset, int64_t rows,
                           Shape shape, float low, float high, std::string_view meaning)
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

ProfileFile::ProfileFile(Params& p, std::string owner) : owner_(std::move(owner)) {
  p.file("profile", path_, "HDF5 file with the profile of this model and scorer");
  p.get("force", force_, "take a profile of another scorer, protection or model all the same");
}

void ProfileFile::read_origin(const std::string& group) {
  group_ = group.empty() ? "/" : group;
  reading([&] {
    const h5::File file(path_, h5::Mode::kRead);
    const auto text = [&](const std::string& object, const char* name) {
      return h5::has_attribute(file, object, name)
                 ? h5::read_attribute<std::string>(file, object, name)
                 : "";
    };
    const auto tokens = [&](const char* name) -> std::optional<int64_t> {
      if (!h5::has_attribute(file, group_, name)) return std::nullopt;
      const auto value = h5::read_attribute<int64_t>(file, group_, name);
      if (value >= 0 && value <= kMostProtected) return value;
      throw_input_error("{}: {}: {}: expected 0 to {}, found {}", path_.string(), group_, name,
                        kMostProtected, value);
    };
    model_hash_ = text("/", "model_hash");
    model_ = text("/", "model");
    if (!h5::exists(file, group_)) {
      throw_input_error("{}: {}: no such group", path_.string(), group_);
    }
    scorer_ = text(group_, "scorer");
    sink_ = tokens("sink");
    window_ = tokens("window");
  });
}

int64_t ProfileFile::require_stored(const std::optional<int64_t>& value, const char* name) const {
  if (value) return *value;
  throw_input_error("{}: {}: expected the attribute {}, found none", path_.string(), group_, name);
}

void ProfileFile::require_given() const {
  if (given()) return;
  throw_input_error("allocator {}: profile: expected the HDF5 file of a profile, none given",
                    owner_);
}

void ProfileFile::require_pairing(const Pairing& pairing) const {
  require_given();
  if (force_) return;
  const auto refuse = [&](const std::string& made, const std::string& paired) {
    throw_input_error(
        "allocator {}: {}: {} was made with {}, but is paired with {}; `force: true` beside "
        "`profile` takes it all the same",
        owner_, path_.string(), group_, made, paired);
  };
  if (!scorer_.empty() && scorer_ != pairing.scorer) {
    refuse("scorer " + scorer_, "scorer " + pairing.scorer);
  }
  if ((sink_ && *sink_ != pairing.sink) || (window_ && *window_ != pairing.recent)) {
    const auto shown = [](int64_t sink, int64_t recent) {
      return fmt::format("protect {{sink: {}, recent: {}}}", sink, recent);
    };
    refuse(shown(sink_.value_or(pairing.sink), window_.value_or(pairing.recent)),
           shown(pairing.sink, pairing.recent));
  }
  if (model_hash_.empty() || !pairing.model_hash) return;
  if (const std::string hash = pairing.model_hash(); hash != model_hash_) {
    refuse(fmt::format("the model {} of hash {:.12}", model_, model_hash_),
           fmt::format("one of hash {:.12}", hash));
  }
}

}  // namespace kvbench::lukv
