#include "harness/sweep/cache_space.h"

#include <c10/core/CachingDeviceAllocator.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace kvbench {
namespace {

std::optional<int64_t> number_in(const char* file) {
  std::ifstream stream(file);
  int64_t value = 0;
  if (stream >> value) return value;
  return std::nullopt;  // not there, or "max"
}

int64_t free_of_host() {
  int64_t bytes = std::numeric_limits<int64_t>::max();
  std::ifstream stream("/proc/meminfo");
  for (std::string key, unit; stream >> key;) {
    int64_t kibibytes = 0;
    if (!(stream >> kibibytes)) break;
    std::getline(stream, unit);
    if (key == "MemAvailable:") bytes = kibibytes * 1024;
  }
  const auto most = number_in("/sys/fs/cgroup/memory.max");
  const auto used = number_in("/sys/fs/cgroup/memory.current");
  if (most && used) bytes = std::min(bytes, *most - *used);
  return bytes;
}

}  // namespace

void CacheSpace::admit() {
  while (!waiting_.empty() && has(waiting_.front().bytes)) {
    const Waiting next = waiting_.front();
    waiting_.pop_front();
    next.work.resume();
  }
}

int64_t free_memory(c10::Device device) {
  const int64_t free =
      device.is_cpu()
          ? free_of_host()
          : static_cast<int64_t>(
                at::getDeviceAllocator(device.type())->getMemoryInfo(device.index()).first);
  return free / 5 * 4;
}

}  // namespace kvbench
