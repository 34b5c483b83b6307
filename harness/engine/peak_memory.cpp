#include "harness/engine/peak_memory.h"

#include <c10/core/CachingDeviceAllocator.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace kvbench {
namespace {

// A line of /proc/self/status that counts KiB, in bytes; 0 where there is none.
int64_t status_bytes(const std::string& name) {
  constexpr int64_t kKibibyte = 1024;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return std::stoll(line.substr(name.size() + 1)) * kKibibyte;
  }
  return 0;
}

}  // namespace

PeakMemory::PeakMemory(c10::Device device) : device_(device) {
  if (device.is_cpu()) {
    std::ofstream clear("/proc/self/clear_refs");
    clear << "5" << std::flush;
    is_reset_ = clear.good();
  } else {
    at::getDeviceAllocator(device.type())->resetPeakStats(device.index());
  }
}

int64_t PeakMemory::bytes() const {
  if (!is_reset_) return 0;
  if (device_.is_cpu()) return status_bytes("VmHWM");
  const auto stats = at::getDeviceAllocator(device_.type())->getDeviceStats(device_.index());
  constexpr size_t kAll = 0;  // StatType::AGGREGATE
  return stats.allocated_bytes[kAll].peak;
}

int64_t PeakMemory::own_bytes() const {
  const int64_t files = device_.is_cpu() ? status_bytes("RssFile") + status_bytes("RssShmem") : 0;
  return std::max<int64_t>(bytes() - files, 0);
}

}  // namespace kvbench
