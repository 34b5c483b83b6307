// Time of a region: the host's clock on a CPU; elsewhere the device's own, by events on its current
// stream, so that the host waits once, at the end, and only where times are wanted.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>
#include <limits>
#include <optional>

namespace kvbench {

class Stopwatch {
 public:
  explicit Stopwatch(c10::Device device, bool wanted = true) : device_(device) {
    if (device.is_cpu()) {
      start_ = Clock::now();
    } else if (wanted) {
      begin_ = mark();
    }
  }

  // NaN where nobody wants it.
  double ms() const {
    if (device_.is_cpu()) {
      return std::chrono::duration<double, std::milli>(Clock::now() - start_).count();
    }
    if (!begin_) return std::numeric_limits<double>::quiet_NaN();
    const c10::Event end = mark();
    end.synchronize();
    return begin_->elapsedTime(end);
  }

 private:
  using Clock = std::chrono::steady_clock;

  c10::Event mark() const {
    c10::Event event(device_.type(), c10::EventFlag::BACKEND_DEFAULT);  // those that tell times
    event.record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
    return event;
  }

  c10::Device device_;
  Clock::time_point start_;
  std::optional<c10::Event> begin_;
};

}  // namespace kvbench
