// Counters of energy that a machine has: RAPL of the processor (Intel's and AMD's, by Linux'
// powercap) and NVML of an NVIDIA GPU. What cannot be read is absent, never 0.
//
// They count the whole processor, whatever runs on it, and RAPL's files may be readable by root
// alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kvbench {

// Packages and, where they are told apart from them, the memory.
class CpuEnergy {
 public:
  // Begins to count. `root` holds intel-rapl:0, intel-rapl:0:0, ... with name, energy_uj and
  // max_energy_range_uj. Absent when there are none, or when one package cannot be read: the sum
  // would be another machine's.
  explicit CpuEnergy(const std::filesystem::path& root = "/sys/class/powercap");

  // Since the construction. A counter that began anew once is told by its range; one that did so
  // twice (after some minutes at the least) is not.
  std::optional<double> joules() const;

 private:
  struct Zone {
    std::filesystem::path folder;
    int64_t start, range;  // microjoules
  };
  std::vector<Zone> zones_;
};

class GpuEnergy {
 public:
  // Begins to count on the GPU at a PCI address ("0000:3b:00.0"; "" = there is none) by NVIDIA's
  // management library. Absent without it and on a GPU older than Volta, which does not count.
  explicit GpuEnergy(const std::string& pci_address, const char* library = "libnvidia-ml.so.1");
  ~GpuEnergy();
  GpuEnergy(const GpuEnergy&) = delete;

  // Since the construction; absent before a second has passed: the library's figure moves some ten
  // times a second.
  std::optional<double> joules() const;

 private:
  struct Library;
  std::unique_ptr<Library> library_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  unsigned long long start_ = 0;  // millijoules
};

}  // namespace kvbench
