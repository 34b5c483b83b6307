// Weights: the file itself, and the index of a model in several files, read by loading the model;
// and gates.
#include <ATen/Parallel.h>

#include "harness/base/files.h"
#include "harness/fuzz/files.h"
#include "harness/fuzz/target.h"
#include "harness/model/decoder.h"
#include "policies/gates/attention_gates.h"
#include "policies/gates/gates.h"
#include "policies/gates/test_gates.h"

namespace kvbench::fuzz {
namespace {

const std::string kModelFolders = "harness/model/testdata/";

void load_model(const std::filesystem::path& folder) {
  at::set_num_threads(1);
  const Decoder model(folder, at::kFloat, at::kCPU);
}

}  // namespace

std::vector<Target> safetensors_targets() {
  const auto one_file = [](const std::filesystem::path& folder) -> std::vector<std::string> {
    copy_project_file(kModelFolders + "smollm2/config.json", folder);
    return {read_project_file(kModelFolders + "smollm2/model.safetensors")};
  };
  const auto index = [](const std::filesystem::path& folder) -> std::vector<std::string> {
    const std::string sharded = kModelFolders + "llama32_tied_sharded/";
    copy_project_file(sharded + "config.json", folder);
    copy_project_file(sharded + "model-00001-of-00002.safetensors", folder);
    copy_project_file(sharded + "model-00002-of-00002.safetensors", folder);
    return {read_project_file(sharded + "model.safetensors.index.json")};
  };
  const auto gates = [](const std::filesystem::path& folder) -> std::vector<std::string> {
    const auto file = write_gates(folder / "seed.safetensors", {2, 2, 4, 8}, random_gate_values());
    std::string bytes = read_file(file);
    std::filesystem::remove(file);
    return {std::move(bytes)};
  };
  const auto attention_gates = [](const std::filesystem::path& folder) -> std::vector<std::string> {
    const auto file =
        write_attention_gates(folder / "seed.safetensors", {2, 2, 4, 8}, random_gate_values());
    std::string bytes = read_file(file);
    std::filesystem::remove(file);
    return {std::move(bytes)};
  };
  const auto load_attention_gates = [](const std::filesystem::path& folder) {
    const AttentionGates read(folder / "gates.safetensors");
  };
  const auto load_gates = [](const std::filesystem::path& folder) {
    const Gates read(folder / "gates.safetensors");
  };
  return {{"gates", "gates.safetensors", {.length_at = 0, .length_bytes = 8}, gates, load_gates},
          {"attention_gates",
           "gates.safetensors",
           {.length_at = 0, .length_bytes = 8},
           attention_gates,
           load_attention_gates},
          {"safetensors",
           "model.safetensors",
           {.length_at = 0, .length_bytes = 8},
           one_file,
           load_model},
          {"safetensors_index", "model.safetensors.index.json", {.text = true}, index, load_model}};
}

}  // namespace kvbench::fuzz
