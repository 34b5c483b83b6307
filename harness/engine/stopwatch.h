// Wall time of a region. A device other than the CPU works behind the host: there its queue is
// drained on both sides when times are wanted, and the time is NaN when they are not.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>
#include <limits>

namespace kvbench {

class Stopwatch {
 public:
  explicit Stopwatch(c10::Device device, bool wanted = true)
      : device_(device), is_told_(wanted || device.is_cpu()) {
    drain();
    start_ = Clock::now();
  }

  double ms() const {
    if (!is_told_) return std::numeric_limits<double>::quiet_NaN();
    drain();
    return std::chrono::duration<double, std::milli>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;

  void drain() const {
    if (device_.is_cpu() || !is_told_) return;
    c10::impl::VirtualGuardImpl(device_.type()).synchronizeDevice(device_.index());
  }

  c10::Device device_;
  bool is_told_;
  Clock::time_point start_;
};

}  // namespace kvbench
