#include "harness/base/energy.h"

#include <dlfcn.h>

#include <fstream>

namespace kvbench {
namespace {

namespace fs = std::filesystem;

std::optional<int64_t> read_number(const fs::path& file) {
  std::ifstream in(file);
  int64_t value = 0;
  return in >> value ? std::optional(value) : std::nullopt;
}

std::string read_word(const fs::path& file) {
  std::ifstream in(file);
  std::string word;
  in >> word;
  return word;
}

}  // namespace

CpuEnergy::CpuEnergy(const fs::path& root) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(root, none)) {
    // intel-rapl-mmio:0 counts the same package once more.
    if (!entry.path().filename().string().starts_with("intel-rapl:")) continue;
    // A package holds its cores; the whole platform ("psys") holds the packages.
    const std::string name = read_word(entry.path() / "name");
    const bool is_package = name.starts_with("package");
    if (!is_package && name != "dram") continue;
    const auto start = read_number(entry.path() / "energy_uj");
    const auto range = read_number(entry.path() / "max_energy_range_uj");
    if (start && range) {
      zones_.push_back({entry.path(), *start, *range});
    } else if (is_package) {
      zones_.clear();
      return;
    }
  }
}

std::optional<double> CpuEnergy::joules() const {
  if (zones_.empty()) return std::nullopt;
  constexpr double kMicro = 1e-6;
  double sum = 0;
  for (const auto& [folder, start, range] : zones_) {
    const auto now = read_number(folder / "energy_uj");
    if (!now) return std::nullopt;
    sum += kMicro * static_cast<double>(*now >= start ? *now - start : range - start + *now);
  }
  return sum;
}

// NVML's C interface, as nvml.h declares it; 0 is success.
struct GpuEnergy::Library {
  using Device = struct nvmlDevice_st*;

  explicit Library(const char* name) : handle(::dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
    find("nvmlInit_v2", init);
    find("nvmlShutdown", shutdown);
    find("nvmlDeviceGetHandleByPciBusId_v2", by_address);
    find("nvmlDeviceGetTotalEnergyConsumption", energy);
  }
  ~Library() {
    if (is_open) shutdown();
    if (handle != nullptr) ::dlclose(handle);
  }
  Library(const Library&) = delete;

  template <class F>
  void find(const char* symbol, F*& function) {
    if (handle != nullptr) function = reinterpret_cast<F*>(::dlsym(handle, symbol));
  }
  bool is_whole() const { return init && shutdown && by_address && energy; }
  std::optional<unsigned long long> millijoules() const {
    unsigned long long value = 0;
    return energy(device, &value) == 0 ? std::optional(value) : std::nullopt;
  }

  void* handle;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*by_address)(const char*, Device*) = nullptr;
  int (*energy)(Device, unsigned long long*) = nullptr;
  bool is_open = false;
  Device device = nullptr;
};

GpuEnergy::GpuEnergy(const std::string& pci_address, const char* library) {
  if (pci_address.empty()) return;
  auto nvml = std::make_unique<Library>(library);
  if (!nvml->is_whole() || nvml->init() != 0) return;
  nvml->is_open = true;
  if (nvml->by_address(pci_address.c_str(), &nvml->device) != 0) return;
  const auto start = nvml->millijoules();
  if (!start) return;
  start_ = *start;
  library_ = std::move(nvml);
}

GpuEnergy::~GpuEnergy() = default;

std::optional<double> GpuEnergy::joules() const {
  const auto passed = std::chrono::steady_clock::now() - begin_;
  if (library_ == nullptr || passed < std::chrono::seconds(1)) return std::nullopt;
  const auto now = library_->millijoules();
  constexpr double kMilli = 1e-3;
  return now ? std::optional(kMilli * static_cast<double>(*now - start_)) : std::nullopt;
}

}  // namespace kvbench
