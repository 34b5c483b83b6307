// For tests: a CPU without memory.
#pragma once

#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>

namespace kvbench {

// At how many places a test makes allocations fail: what KVBENCH_FAILURES says, else `usual`.
inline int64_t n_failures(int64_t usual) {
  const char* wanted = std::getenv("KVBENCH_FAILURES");
  if (wanted == nullptr) return usual;
  const int64_t n = std::atoi(wanted);
  if (n < 1) throw std::runtime_error("KVBENCH_FAILURES: expected 1 or more");
  return n;
}

// While it lives, LibTorch's allocations `first` to `last` fail, counted since it was made.
class FullMemory final : public c10::Allocator {
 public:
  FullMemory(int64_t first, int64_t last) : first_(first), last_(last) {
    c10::SetCPUAllocator(this, 1);
  }
  ~FullMemory() override { c10::SetCPUAllocator(memory_, 1); }

  c10::DataPtr allocate(size_t n) override {
    const int64_t i = n_++;
    if (n > 0 && i >= first_ && i <= last_) throw std::runtime_error("out of memory: planted");
    return memory_->allocate(n);
  }
  c10::DeleterFnPtr raw_deleter() const override { return memory_->raw_deleter(); }
  void copy_data(void* to, const void* from, size_t n) const override {
    memory_->copy_data(to, from, n);
  }
  int64_t n_allocations() const { return n_; }

 private:
  c10::Allocator* memory_ = c10::GetDefaultCPUAllocator();
  const int64_t first_, last_;
  std::atomic<int64_t> n_ = 0;
};

}  // namespace kvbench
