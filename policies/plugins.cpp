#include "policies/plugins.h"

#include <dlfcn.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/hash.h"
#include "plugin_stamp.h"  // before registry.h, so that this program has its own stamp
#include "policies/allocator.h"
#include "policies/scorer.h"
#include "policies/weighting.h"

namespace kvbench {
namespace {

constexpr const char* kRebuild = "build it with policies/plugin_template/build.sh of this kvbench";

size_t n_registered() {
  return Registry<Scorer>::instance().names().size() +
         Registry<Allocator>::instance().names().size() +
         Registry<Weighting>::instance().names().size();
}

// Each source file of a library has its stamp, all of which must be ours.
void check_stamps(const std::filesystem::path& file, std::string_view bytes) {
  constexpr std::string_view kOurs = plugin_stamp;
  constexpr std::string_view kKind = kOurs.substr(0, kOurs.rfind(' ') + 1);
  size_t at = bytes.find(kKind);
  if (at == bytes.npos) {
    throw_input_error("plug-in {}: is no plug-in, or of an older kvbench; {}", file.string(),
                      kRebuild);
  }
  for (; at != bytes.npos; at = bytes.find(kKind, at + 1)) {
    if (bytes.substr(at, kOurs.size()) == kOurs) continue;
    throw_input_error("plug-in {}: was built against other headers or another LibTorch; {}",
                      file.string(), kRebuild);
  }
}

void load_plugin(const std::filesystem::path& file) {
  static std::vector<std::string> loaded;
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) {
    throw_input_error("plug-in {}: no such file", std::filesystem::absolute(file).string());
  }
  const std::string bytes = read_file(file);
  check_stamps(file, bytes);
  const std::string identity = file.filename().string() + " " + sha256_hex(bytes);
  if (std::find(loaded.begin(), loaded.end(), identity) != loaded.end()) return;
  const size_t before = n_registered();
  loading_plugin = identity;
  // An absolute path: dlopen searches the system's folders for a bare name.
  void* library = ::dlopen(std::filesystem::absolute(file).c_str(), RTLD_NOW | RTLD_LOCAL);
  loading_plugin.clear();
  if (library == nullptr) {
    throw_input_error("plug-in {}: cannot be loaded: {}", file.string(), ::dlerror());
  }
  for (const auto* conflict :
       {&Registry<Scorer>::instance().conflict(), &Registry<Allocator>::instance().conflict(),
        &Registry<Weighting>::instance().conflict()}) {
    if (!conflict->empty()) throw_input_error("plug-in {}: {}", file.string(), *conflict);
  }
  if (n_registered() == before) {
    throw_input_error("plug-in {}: registers no scorer, allocator or weighting", file.string());
  }
  loaded.push_back(identity);
}

}  // namespace

void load_plugins(const std::vector<std::filesystem::path>& files) {
  for (const auto& file : files) load_plugin(file);
}

}  // namespace kvbench
