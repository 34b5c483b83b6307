// LU-KV (arXiv 2602.08585), run time: keep counts of every layer and KV head out of a profile made
// beforehand for this model and scorer. policies.md 3.4, 4.6.
#include <algorithm>

#include "harness/base/error.h"
#include "policies/allocator.h"
#include "policies/apportion.h"
#include "policies/lukv/allocation.h"
#include "policies/lukv/profile_array.h"
#include "policies/lukv/profile_counts.h"

namespace kvbench {
namespace {

enum class MinKeep { kNone, kProtect };

class LuKv : public Allocator {
 public:
  explicit LuKv(Params& p) : file_(p, "lukv") {
    p.get("table", table_, "dataset in it: prune ratios [99, layers, KV heads]");
    p.choice("min_keep", min_keep_, {{"none", MinKeep::kNone}, {"protect", MinKeep::kProtect}},
             "protect: no head keeps less than sink + window tokens, at the largest heads' cost");
    p.get("sink", sink_, "protected first tokens (min_keep)");
    p.get("window", window_, "protected last tokens (min_keep)");
    p.require_range("sink", static_cast<double>(sink_), 0, 1 << 20);
    p.require_range("window", static_cast<double>(window_), 0, 1 << 20);
    if (!file_.given()) return;
    const size_t slash = table_.rfind('/');
    file_.read_origin(slash == table_.npos ? "" : table_.substr(0, slash));
    profile_ = lukv::ProfileArray(file_.path(), table_, lukv::kRatios,
                                  lukv::ProfileArray::Shape::kRowsFirst, 0, 1, "prune ratios");
  }

  void validate(const Pairing& pairing) const override {
    file_.require_pairing(pairing);
    profile_.require_model(pairing.n_layers, pairing.n_kv_heads);
  }

  KeepCounts allocate(const LayerBudget& budget) const override {
    const int64_t n_tokens = budget.n_tokens();
    file_.require_given();
    profile_.require_model(budget.n_layers, budget.n_kv_heads());
    std::vector<int64_t> counts = lukv::profile_counts(
        profile_.heads(lukv::profile_row(budget.ratio), budget.layer), n_tokens);
    if (min_keep_ == MinKeep::kProtect) raise_to_floor(counts, std::min(sink_ + window_, n_tokens));
    return counts;
  }

 private:
  lukv::ProfileFile file_;
  std::string table_ = "table";
  MinKeep min_keep_ = MinKeep::kNone;
  int64_t sink_ = 4, window_ = 32;
  lukv::ProfileArray profile_;  // empty when no file was given
};

KVB_REGISTER_ALLOCATOR("lukv", LuKv, "fixed budgets of a profile made beforehand (LU-KV)");

}  // namespace
}  // namespace kvbench
