// One registry per kind of part (Scorer, Allocator): name -> how to make it.
//
// A part registers itself in its own source file, so adding one touches no list. The object
// libraries that hold such files must be linked directly into every executable (CMakeLists.txt
// does; a linker drops unreferenced objects of a static library).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/base/params.h"

namespace kvbench {

// Set while a plug-in is being loaded ("NAME sha256"), so that its parts know where they are from.
inline std::string loading_plugin;

#ifdef KVBENCH_PLUGIN_STAMP
// What a plug-in was built against; found in its file before any of its code runs (plugins.h).
[[maybe_unused, gnu::used]] static const char plugin_stamp[] =
    "kvbench plug-in stamp " KVBENCH_PLUGIN_STAMP;
#endif

template <class Base>
class Registry {
 public:
  using Factory = std::function<std::unique_ptr<Base>(Params&)>;
  struct Entry {
    Factory make;
    std::string doc, source;  // one line for `list`; the source file that registered it
    std::string plugin;       // "NAME sha256" of the library that holds it; empty = built in
  };

  // `Base::kind()` ("scorer") names the parts in messages.
  static Registry& instance() {
    static Registry registry;
    return registry;
  }

  // A second part of the same name is an error, but not of this call: registration runs while a
  // program or a plug-in is being loaded, where nothing can catch. conflict() tells, find() throws.
  bool add(const std::string& name, Factory make, const std::string& doc,
           const std::string& source) {
    const bool added =
        entries_.try_emplace(name, Entry{std::move(make), doc, source, loading_plugin}).second;
    if (!added) {
      conflict_ = fmt::format("{} \"{}\" is registered twice, the second time by {}", Base::kind(),
                              name, source);
    }
    return added;
  }

  // What is wrong with the names registered so far; empty = nothing.
  const std::string& conflict() const { return conflict_; }

  // Throws InputError with near matches for an unknown name, prefixed with `place` when not empty.
  const Entry& find(const std::string& name, const std::string& place = "") const {
    KVB_CHECK(conflict_.empty(), "{}", conflict_);
    const auto it = entries_.find(name);
    if (it == entries_.end()) {
      throw InputError((place.empty() ? "" : place + ": ") +
                       unknown_name(Base::kind(), name, names()));
    }
    return it->second;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, entry] : entries_) all.push_back(name);
    return all;
  }

 private:
  std::map<std::string, Entry> entries_;
  std::string conflict_;
};

// At namespace scope of the part's source file, once.
#define KVB_REGISTER(BASE, NAME, CLASS, DOC)                  \
  [[maybe_unused]] static const bool registered_##CLASS =     \
      ::kvbench::Registry<BASE>::instance().add(              \
          NAME,                                               \
          [](::kvbench::Params& p) -> std::unique_ptr<BASE> { \
            return std::make_unique<CLASS>(p);                \
          },                                                  \
          DOC, __FILE__)

}  // namespace kvbench
