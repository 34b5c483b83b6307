// How many tokens each KV head of a layer keeps: an allocator's answer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace kvbench {

// Known to the host, or, where scores have decided, to the device alone: nothing waits for them
// then.
class KeepCounts {
 public:
  KeepCounts(std::vector<int64_t> counts);  // NOLINT: what most allocators return
  // counts: int32 [H] on any device; together they are `at_most` or fewer.
  KeepCounts(at::Tensor counts, int64_t at_most);

  int64_t n_kv_heads() const;
  bool is_known() const { return !on_device_.defined(); }
  // Entries of all heads together; exact where the counts are known.
  int64_t at_most() const { return at_most_; }

  // int32 [H].
  at::Tensor on(c10::Device device) const;
  // Waits for the device unless they are known.
  std::vector<int64_t> on_host() const;

 private:
  std::vector<int64_t> known_;
  at::Tensor on_device_;
  int64_t at_most_ = 0;
};

}  // namespace kvbench
