#include "policies/plugins.h"

#include <dlfcn.h>

#include "harness/base/error.h"
#include "harness/base/hash.h"
#include "policies/allocator.h"
#include "policies/scorer.h"
#include "policies/weighting.h"

namespace kvbench {
namespace {

std::string& hashes() {
  static std::string text;
  return text;
}

size_t n_registered() {
  return Registry<Scorer>::instance().names().size() +
         Registry<Allocator>::instance().names().size() +
         Registry<Weighting>::instance().names().size();
}

void load_plugin(const std::filesystem::path& file) {
  if (!std::filesystem::is_regular_file(file)) {
    throw_input_error("plug-in {}: no such file", file.string());
  }
  const size_t before = n_registered();
  // An absolute path: dlopen searches the system's folders for a bare name.
  if (::dlopen(std::filesystem::absolute(file).c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr) {
    throw_input_error("plug-in {}: cannot be loaded: {}", file.string(), ::dlerror());
  }
  for (const auto* conflict :
       {&Registry<Scorer>::instance().conflict(), &Registry<Allocator>::instance().conflict(),
        &Registry<Weighting>::instance().conflict()}) {
    if (!conflict->empty()) throw_input_error("plug-in {}: {}", file.string(), *conflict);
  }
  const std::string line = file.filename().string() + " " + sha256_file(file) + "\n";
  if (hashes().find(line) != std::string::npos) return;  // loaded before
  if (n_registered() == before) {
    throw_input_error("plug-in {}: registers no scorer, allocator or weighting", file.string());
  }
  hashes() += line;
}

}  // namespace

void load_plugins(const std::vector<std::filesystem::path>& files) {
  for (const auto& file : files) load_plugin(file);
}

const std::string& plugin_hashes() { return hashes(); }

}  // namespace kvbench
