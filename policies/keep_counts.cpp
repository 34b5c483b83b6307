#include "policies/keep_counts.h"

#include <ATen/ATen.h>

#include <numeric>

#include "kernels/common/host_torch.h"

namespace kvbench {

KeepCounts::KeepCounts(std::vector<int64_t> counts)
    : known_(std::move(counts)),
      at_most_(std::accumulate(known_.begin(), known_.end(), int64_t{0})) {}

KeepCounts::KeepCounts(at::Tensor counts, int64_t at_most)
    : on_device_(std::move(counts)), at_most_(at_most) {}

int64_t KeepCounts::n_kv_heads() const {
  return is_known() ? std::ssize(known_) : on_device_.size(0);
}

at::Tensor KeepCounts::on(c10::Device device) const {
  return is_known() ? kvbench::on_device(at::tensor(known_, at::kInt), device) : on_device_;
}

std::vector<int64_t> KeepCounts::on_host() const {
  return is_known() ? known_ : host_values(on_device_);
}

}  // namespace kvbench
