// Memory for the caches of all contexts that are in work at once.
#pragma once

#include <c10/core/Device.h>

#include <coroutine>
#include <cstdint>
#include <deque>
#include <utility>

namespace kvbench {

class Room {
 public:
  explicit Room(int64_t bytes) : bytes_(bytes) {}
  Room(const Room&) = delete;

  // Bytes that are given back when it goes.
  class Share {
   public:
    Share(Room& room, int64_t bytes) : room_(&room), bytes_(bytes) {}
    Share(Share&& other) noexcept
        : room_(std::exchange(other.room_, nullptr)), bytes_(other.bytes_) {}
    Share& operator=(Share&&) = delete;
    ~Share() {
      if (room_ != nullptr) room_->taken_ -= bytes_;
    }

   private:
    Room* room_;
    int64_t bytes_;
  };

  // `co_await room.take(bytes)` waits until there is room, first come, first served; nobody waits
  // where nothing is taken, however much it is.
  auto take(int64_t bytes) {
    struct Taking {
      Room& room;
      int64_t bytes;
      bool await_ready() const { return room.waiting_.empty() && room.has(bytes); }
      void await_suspend(std::coroutine_handle<> work) { room.waiting_.push_back({bytes, work}); }
      Share await_resume() {
        room.taken_ += bytes;
        return {room, bytes};
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
