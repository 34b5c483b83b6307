#include "harness/model/model_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace kvbench {

namespace fs = std::filesystem;

std::string describe_weight_files(const fs::path& dir) {
  static const std::set<std::string> kinds = {".safetensors", ".bin",  ".pt",   ".pth", ".gguf",
                                              ".ggml",        ".onnx", ".ckpt", ".h5",  ".msgpack"};
  std::vector<std::string> found;
  std::error_code unreadable;
  for (const auto& entry : fs::directory_iterator(dir, unreadable)) {
    if (kinds.contains(entry.path().extension().string())) {
      found.push_back(entry.path().filename().string());
    }
  }
  if (found.empty()) return "found no weights";
  std::sort(found.begin(), found.end());
  const auto any = [&](auto&& is) { return std::any_of(found.begin(), found.end(), is); };
  const bool adapter = any([](const auto& name) { return name.starts_with("adapter_model."); });
  const bool shards = any([](const auto& name) { return name.ends_with(".safetensors"); });
  const std::string list =
      found.size() == 1 ? found[0] : fmt::format("{} and {} more", found[0], found.size() - 1);
  return fmt::format("found {}: {}", list,
                     adapter  ? "an adapter, merge it into its base model first"
                     : shards ? "shards need the index, one file the name model.safetensors"
                              : "only safetensors are read, convert it");
}

}  // namespace kvbench
