// LU-KV (arXiv 2602.08585), run time: keep counts of every layer and KV head out of a profile made
// beforehand for this model and scorer. policies.md 3.4, 4.6.
#include <fmt/ranges.h>

#include <algorithm>
#include <span>

#include "harness/base/error.h"
#include "harness/base/hdf5.h"
#include "policies/allocators/apportion.h"
#include "policies/lukv/allocation.h"
#include "policies/lukv/profile_counts.h"
#include "policies/policy.h"

namespace kvbench {
namespace {

constexpr int64_t kRows = lukv::kRatios;
constexpr int64_t kMaxHeads = 65536;  // of a model; bounds what a file can make us read

// Prune ratios [99, L, H] of `table` in `path`. Nothing about the file is trusted.
h5::Array<float> read_profile(const std::string& path, const std::string& table) {
  h5::Array<float> profile;
  try {
    const h5::File file(path, h5::Mode::kRead);
    const auto dims = h5::dims(file, table);
    const bool fits = dims.size() == 3 && dims[0] == kRows && dims[1] > 0 && dims[2] > 0 &&
                      dims[1] <= kMaxHeads && dims[2] <= kMaxHeads / dims[1];
    if (!fits) {
      throw_input_error("{}: {}: expected shape [{}, layers, KV heads], found [{}]", path, table,
                        kRows, fmt::join(dims, ", "));
    }
    profile = h5::read_array<float>(file, table);
  } catch (const InputError&) {
    throw;
  } catch (const std::runtime_error& e) {  // it names the file and the object
    throw InputError(e.what());
  }
  for (const float ratio : profile.values) {
    if (!(ratio >= 0 && ratio <= 1)) {  // NaN too
      throw_input_error("{}: {}: expected prune ratios from 0 to 1, found {}", path, table, ratio);
    }
  }
  return profile;
}

enum class MinKeep { kNone, kProtect };

class LuKv : public Allocator {
 public:
  explicit LuKv(Params& p) {
    p.get("profile", path_, "HDF5 file with the profile of this model and scorer");
    p.get("table", table_, "dataset in it: prune ratios [99, layers, KV heads]");
    p.choice("min_keep", min_keep_, {{"none", MinKeep::kNone}, {"protect", MinKeep::kProtect}},
             "protect: no head keeps less than sink + window tokens, at the largest heads' cost");
    p.get("sink", sink_, "protected first tokens (min_keep)");
    p.get("window", window_, "protected last tokens (min_keep)");
    p.require_range("sink", static_cast<double>(sink_), 0, 1 << 20);
    p.require_range("window", static_cast<double>(window_), 0, 1 << 20);
    if (!path_.empty()) profile_ = read_profile(path_, table_);
  }

  void validate(int64_t n_layers, int64_t n_kv_heads) const override {
    if (path_.empty()) {
      throw InputError("allocator lukv: profile: expected the HDF5 file of a profile, none given");
    }
    if (profile_.dims[1] != n_layers || profile_.dims[2] != n_kv_heads) {
      throw_input_error("{}: {}: expected shape [{}, {}, {}] for this model, found [{}]", path_,
                        table_, kRows, n_layers, n_kv_heads, fmt::join(profile_.dims, ", "));
    }
  }

  std::vector<int64_t> allocate(const LayerBudget& budget) const override {
    const int64_t n_heads = budget.n_kv_heads(), n_tokens = budget.n_tokens();
    validate(budget.n_layers, n_heads);
    const int64_t row = lukv::profile_row(budget.ratio);
    const auto prune = std::span(profile_.values)
                           .subspan((row * budget.n_layers + budget.layer) * n_heads, n_heads);
    std::vector<int64_t> counts = lukv::profile_counts(prune, n_tokens);
    if (min_keep_ == MinKeep::kProtect) raise_to_floor(counts, std::min(sink_ + window_, n_tokens));
    return counts;
  }

 private:
  std::string path_, table_ = "table";
  MinKeep min_keep_ = MinKeep::kNone;
  int64_t sink_ = 4, window_ = 32;
  h5::Array<float> profile_;  // empty when no file was given
};

KVB_REGISTER_ALLOCATOR("lukv", LuKv, "fixed budgets of a profile made beforehand (LU-KV)");

}  // namespace
}  // namespace kvbench
