#include "harness/model/open_model.h"

#include <ATen/ATen.h>

#include <cstdlib>

#include "harness/base/error.h"
#include "harness/base/paths.h"
#include "harness/base/process.h"
#include "harness/model/device.h"
#include "harness/model/file_layout.h"
#include "harness/model/hub_fetch.h"
#include "harness/model/model_folder.h"
#include "harness/model/safetensors.h"

namespace kvbench {
namespace {

at::ScalarType find_dtype(const ModelSpec& spec, const ModelConfig& config) {
  const std::string& name = spec.dtype.empty() ? config.stored_dtype : spec.dtype;
  if (name == "float32") return at::kFloat;
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float16") return at::kHalf;
  throw_input_error("{}: dtype {}: expected float32, bfloat16 or float16", spec.path.string(),
                    name);
}

}  // namespace

void ensure_model(const ModelSpec& spec) {
  if (!spec.hub.empty()) return check_cached(spec);
  if (spec.is_here()) return;
  if (spec.fetch.empty()) {
    throw_input_error("model {}: {} does not exist; expected a Hugging Face model folder, {}",
                      spec.name, (spec.path / "config.json").string(),
                      describe_weight_files(spec.path));
  }
  ::setenv("KVBENCH_DEPS", deps_dir().c_str(), 1);  // where the script puts it
  run_program({(project_root() / "harness/toolchain/setup.sh").string(), "model", spec.fetch});
}

OpenModel open_model(const ModelSpec& spec, const std::string& device) {
  const c10::Device resolved = resolve_device(device);
  ensure_model(spec);
  if (!spec.hub.empty()) check_cached_weights(spec);
  ModelConfig config = load_model_config(spec.path);
  if (spec.dtype.empty() && config.stored_dtype.empty()) {
    resolve_by_file(config, Weights(spec.path));
  }
  const at::ScalarType dtype = find_dtype(spec, config);
  return {spec, config, dtype, resolved};
}

void check_weights(const OpenModel& model) {
  ModelConfig config = model.config;
  resolve_by_file(config, Weights(model.spec.path));
}

std::string dtype_name(at::ScalarType dtype) {
  return dtype == at::kFloat ? "float32" : dtype == at::kBFloat16 ? "bfloat16" : "float16";
}

}  // namespace kvbench
