// Memory for the caches of all contexts that are in work at once.
#pragma once

#include <c10/core/Device.h>

#include <coroutine>
#include <cstdint>
#include <deque>
#include <utility>

namespace kvbench {

class CacheSpace {
 public:
  explicit CacheSpace(int64_t bytes) : bytes_(bytes) {}
  CacheSpace(const CacheSpace&) = delete;

  // Bytes that are given back when it goes.
  class Share {
   public:
    Share(CacheSpace& space, int64_t bytes) : space_(&space), bytes_(bytes) {}
    Share(Share&& other) noexcept
        : space_(std::exchange(other.space_, nullptr)), bytes_(other.bytes_) {}
    Share& operator=(Share&&) = delete;
    ~Share() {
      if (space_ != nullptr) space_->taken_ -= bytes_;
    }

   private:
    CacheSpace* space_;
    int64_t bytes_;
  };

  // `co_await space.take(bytes)` waits until there is room, first come, first served; nobody waits
  // where nothing is taken, however much it is.
  auto take(int64_t bytes) {
    struct Taking {
      CacheSpace& space;
      int64_t bytes;
      bool await_ready() const { return space.waiting_.empty() && space.has(bytes); }
      void await_suspend(std::coroutine_handle<> work) { space.waiting_.push_back({bytes, work}); }
      Share await_resume() {
        space.taken_ += bytes;
        return {space, bytes};
      }
    };
    return Taking{*this, bytes};
  }

  bool is_awaited() const { return !waiting_.empty(); }
  // Lets those go on for whom there is room now.
  void admit();

  int64_t bytes() const { return bytes_; }
  bool has(int64_t bytes) const { return taken_ == 0 || taken_ + bytes <= bytes_; }

 private:
  struct Waiting {
    int64_t bytes;
    std::coroutine_handle<> work;
  };

  int64_t bytes_, taken_ = 0;
  std::deque<Waiting> waiting_;
};

// Four fifths of what is free on the device now: Linux's MemAvailable, or less where a control
// group allows less; on an accelerator what its driver says. The rest is for activations.
int64_t free_memory(c10::Device device);

}  // namespace kvbench
