// Wall time of a region, the device's queue drained on both sides.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>

namespace kvbench {

class Stopwatch {
 public:
  explicit Stopwatch(c10::Device device) : device_(device) {
    drain();
    start_ = Clock::now();
  }

  double ms() const {
    drain();
    return std::chrono::duration<double, std::milli>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;

  void drain() const {
    if (!device_.is_cpu()) c10::impl::VirtualGuardImpl(device_.type()).synchronizeDevice(0);
  }

  c10::Device device_;
  Clock::time_point start_;
};

}  // namespace kvbench
