// A model's config.json and generation_config.json. What is accepted must also serve a model, or be
// refused when its weights are loaded.
#include <ATen/Parallel.h>

#include "harness/base/error.h"
#include "harness/fuzz/files.h"
#include "harness/fuzz/target.h"
#include "harness/model/decoder.h"
#include "harness/model/model_config.h"

namespace kvbench::fuzz {
namespace {

const std::string kTestdata = "harness/model/testdata/";

void read_config(const std::filesystem::path& folder) {
  load_model_config(folder);
  at::set_num_threads(1);
  try {
    const Decoder model(folder, at::kFloat, at::kCPU);
    model.prefill({1, 2, 3, 4}, [](const LayerView&) {});
  } catch (const InputError&) {
    // The weights beside it are those of one model only.
  }
}

}  // namespace

std::vector<Target> config_targets() {
  const auto config = [](const std::filesystem::path& folder) {
    copy_project_file(kTestdata + "smollm2/model.safetensors", folder);
    std::vector<std::string> files = {read_project_file(kTestdata + "smollm2/config.json")};
    for (const char* family : {"llama2", "llama31", "llama31_v4", "llama32_tied", "llama_bias",
                               "mistral", "mistral_head_dim", "qwen2", "qwen3", "rope_linear",
                               "rope_dynamic", "rope_yarn", "rope_yarn_mscale", "mistral_window",
                               "qwen2_window", "qwen3_window", "gemma3_text", "gemma3"}) {
      files.push_back(read_project_file(kTestdata + family + "/config.json"));
    }
    return files;
  };
  // The weights of the base config serve few others, so some bring their own.
  const auto config_of = [](const std::string& family) {
    return [family](const std::filesystem::path& folder) -> std::vector<std::string> {
      copy_project_file(kTestdata + family + "/model.safetensors", folder);
      return {read_project_file(kTestdata + family + "/config.json")};
    };
  };
  const auto generation = [](const std::filesystem::path& folder) -> std::vector<std::string> {
    copy_project_file(kTestdata + "smollm2/model.safetensors", folder);
    copy_project_file(kTestdata + "smollm2/config.json", folder);
    return {R"({"bos_token_id": 1, "eos_token_id": 2, "temperature": 0.7})",
            R"({"bos_token_id": 1, "eos_token_id": [2, 7], "do_sample": true})"};
  };
  return {
      {"config", "config.json", {.text = true}, config, read_config},
      {"config_yarn", "config.json", {.text = true}, config_of("rope_yarn_mscale"), read_config},
      {"config_dynamic", "config.json", {.text = true}, config_of("rope_dynamic"), read_config},
      {"config_gemma3", "config.json", {.text = true}, config_of("gemma3"), read_config},
      {"generation_config", "generation_config.json", {.text = true}, generation, read_config}};
}

}  // namespace kvbench::fuzz
