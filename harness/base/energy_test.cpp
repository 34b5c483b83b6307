#include "harness/base/energy.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "harness/base/test_util.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

// A folder as Linux' powercap fills it.
class CpuEnergyTest : public testing::Test {
 protected:
  CpuEnergyTest() {
    fs::create_directory(root_ / "intel-rapl");  // the control type: no zone
  }

  void zone(const std::string& folder, const std::string& name, int64_t microjoules) {
    fs::create_directory(root_ / folder);
    std::ofstream(root_ / folder / "name") << name << '\n';
    std::ofstream(root_ / folder / "max_energy_range_uj") << 1000000 << '\n';
    std::ofstream(root_ / folder / "energy_uj") << microjoules << '\n';
  }

  TemporaryFolder folder_;
  fs::path root_ = folder_.path();
};

TEST_F(CpuEnergyTest, SumsPackagesAndMemory) {
  const auto at = [&](int64_t passed) {
    zone("intel-rapl:0", "package-0", 100000 + passed);
    zone("intel-rapl:0:0", "core", 70000 + passed);
    zone("intel-rapl:0:1", "dram", 5000 + passed);
    zone("intel-rapl:1", "package-1", 20 + passed);
    zone("intel-rapl:2", "psys", 300000 + passed);
    zone("intel-rapl-mmio:0", "package-0", 100000 + passed);
  };
  at(0);
  const CpuEnergy energy(root_);
  ASSERT_TRUE(energy.joules());
  EXPECT_EQ(*energy.joules(), 0);
  at(200000);
  EXPECT_NEAR(*energy.joules(), 3 * 0.2, 1e-12);
}

TEST_F(CpuEnergyTest, ACounterBeginsAnew) {
  zone("intel-rapl:0", "package-0", 900000);
  const CpuEnergy energy(root_);
  zone("intel-rapl:0", "package-0", 50000);
  EXPECT_NEAR(*energy.joules(), 0.15, 1e-12);
}

TEST_F(CpuEnergyTest, AbsentIsNotZero) {
  EXPECT_FALSE(CpuEnergy(root_).joules());
  EXPECT_FALSE(CpuEnergy(root_ / "none").joules());
  zone("intel-rapl:0", "package-0", 1);
  zone("intel-rapl:1", "package-1", 1);
  EXPECT_TRUE(CpuEnergy(root_).joules());
  std::ofstream(root_ / "intel-rapl:1" / "energy_uj") << "";  // as one that may not be read
  EXPECT_FALSE(CpuEnergy(root_).joules());
  zone("intel-rapl:1", "package-1", 1);
  const CpuEnergy energy(root_);
  fs::remove(root_ / "intel-rapl:0" / "energy_uj");
  EXPECT_FALSE(energy.joules());
}

TEST(GpuEnergy, AbsentWithoutALibraryOrAGpu) {
  EXPECT_FALSE(GpuEnergy("").joules());
  EXPECT_FALSE(GpuEnergy("0000:01:00.0", "libnone.so.1").joules());
  EXPECT_FALSE(GpuEnergy("0000:01:00.0", "libm.so.6").joules());  // a library of others
}

}  // namespace
}  // namespace kvbench
