#include "harness/model/model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>

#include "harness/base/error.h"
#include "harness/base/hash.h"
#include "harness/base/paths.h"
#include "harness/base/process.h"

namespace kvbench {
namespace fs = std::filesystem;

void ensure_model(const ModelSpec& spec) {
  if (fs::exists(spec.path / "config.json")) return;
  if (spec.fetch.empty()) {
    throw_input_error("model {}: {} does not exist; expected a Hugging Face model folder",
                      spec.name, (spec.path / "config.json").string());
  }
  ::setenv("KVBENCH_DEPS", deps_dir().c_str(), 1);  // where the script puts it
  run_program({(project_root() / "harness/toolchain/setup.sh").string(), "model", spec.fetch});
}

at::ScalarType model_dtype(const ModelSpec& spec, const ModelConfig& config) {
  const std::string& name = spec.dtype.empty() ? config.stored_dtype : spec.dtype;
  if (name == "float32") return at::kFloat;
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float16") return at::kHalf;
  throw_input_error("{}: dtype {}: expected float32, bfloat16 or float16", spec.path.string(),
                    name);
}

std::string dtype_name(at::ScalarType dtype) {
  return dtype == at::kFloat ? "float32" : dtype == at::kBFloat16 ? "bfloat16" : "float16";
}

PromptFormat::PromptFormat(const fs::path& model_dir, bool chat)
    : tokenizer_(Tokenizer::load(model_dir / "tokenizer.json")) {
  if (chat) {
    const ChatTemplate chat_template = load_chat_template(model_dir);
    prefix_ = chat_template.prefix;
    suffix_ = chat_template.suffix;
  } else {
    prefix_ = bos_text(model_dir);
    suffix_ = "\n";
  }
}

std::vector<int32_t> PromptFormat::context(const std::string& text) const {
  return tokenizer_.encode(prefix_ + text);
}

std::vector<int32_t> PromptFormat::question(const std::string& text,
                                            const std::string& answer_prefix) const {
  return tokenizer_.encode(text + suffix_ + answer_prefix);
}

std::string model_hash(const fs::path& model_dir) {
  std::vector<fs::path> files = {model_dir / "config.json"};
  for (const auto& entry : fs::directory_iterator(model_dir)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::string parts;
  for (const auto& file : files) parts += file.filename().string() + " " + sha256_file(file) + "\n";
  return sha256_hex(parts);
}

std::string tokenizer_hash(const fs::path& model_dir) {
  const auto file = model_dir / "tokenizer.json";
  return fs::exists(file) ? sha256_file(file) : "";
}

}  // namespace kvbench
