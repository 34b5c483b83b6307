// LU-KV's published tables.
#include "harness/profile/npy.h"

#include "harness/base/files.h"
#include "harness/fuzz/target.h"

namespace kvbench::fuzz {

std::vector<Target> npy_targets() {
  const auto prepare = [](const std::filesystem::path& folder) -> std::vector<std::string> {
    h5::Array<double> table{{99, 2, 3}, {}};
    for (int i = 0; i < 99 * 2 * 3; ++i) table.values.push_back(0.001 * i);
    write_npy(folder / "good.npy", table);
    return {read_file(folder / "good.npy")};
  };
  const auto read = [](const std::filesystem::path& folder) { read_npy(folder / "table.npy"); };
  return {{"npy", "table.npy", {.length_at = 8, .length_bytes = 2}, prepare, read}};
}

}  // namespace kvbench::fuzz
