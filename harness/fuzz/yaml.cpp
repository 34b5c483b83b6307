// Configurations of sweeps and profiles.
#include "harness/config/profile_config.h"
#include "harness/config/sweep_config.h"
#include "harness/fuzz/files.h"
#include "harness/fuzz/target.h"

namespace kvbench::fuzz {

std::vector<Target> yaml_targets() {
  const auto sweeps = [](const std::filesystem::path& folder) {
    std::filesystem::create_directory_symlink(in_project("configs/profiles"), folder / "profiles");
    return read_project_files(
        {"configs/quickstart.yaml", "configs/lukv_smollm2.yaml", "configs/memory_4096.yaml"});
  };
  const auto profiles = [](const std::filesystem::path&) -> std::vector<std::string> {
    return read_project_files({"configs/profiles/smollm2.yaml"});
  };
  return {
      {"sweep_yaml",
       "run.yaml",
       {.text = true},
       sweeps,
       [](const std::filesystem::path& folder) { resolved_yaml(load_sweep(folder / "run.yaml")); }},
      {"profile_yaml",
       "run.yaml",
       {.text = true},
       profiles,
       [](const std::filesystem::path& folder) { load_profile_config(folder / "run.yaml"); }}};
}

}  // namespace kvbench::fuzz
