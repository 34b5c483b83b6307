// Named, documented, strictly checked parameters of scorers, allocators and task generators.
//
// A class takes `Params&` in its constructor and asks for each parameter once:
//
//   explicit SnapKv(Params& p) { p.get("window", window_, "last queries that vote, tokens"); }
//
// That one line reads the value, keeps the default when absent, and documents it for `list`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace kvbench {

class Params {
 public:
  struct Given {
    std::string key, text;
    int line = 0;        // 1-based line of the YAML file; 0 = no file
    std::string file{};  // that file, or what was typed ("--set ..."); empty = where all come from
  };
  struct Described {
    std::string key, value, doc;  // value: in effect, canonical text (the default when not given)
  };

  Params() = default;
  // `owner` names whose parameters these are ("scorer snapkv"), `origin` the file they come from.
  Params(std::string owner, std::string origin, std::vector<Given> given);

  const std::string& owner() const { return owner_; }

  // Each reads `key` into `value` when it was given and leaves the default otherwise.
  // Throws InputError with place, text and expectation when the text is not of the type.
  void get(const std::string& key, int64_t& value, const std::string& doc);
  void get(const std::string& key, double& value, const std::string& doc);
  void get(const std::string& key, bool& value, const std::string& doc);
  void get(const std::string& key, std::string& value, const std::string& doc);

  // A parameter that names a file: `path` becomes absolute, relative ones begin in the folder of the
  // YAML file in which they stand (paths.h); it stays empty when none was given. The value in effect
  // is the hash of the content. Throws InputError with the resolved path when there is no such file.
  void file(const std::string& key, std::filesystem::path& path, const std::string& doc);

  // One of several named values of an enum.
  template <class E>
  void choice(const std::string& key, E& value,
              std::initializer_list<std::pair<const char*, E>> choices, const std::string& doc) {
    std::vector<std::string> names;
    std::string text;
    for (const auto& [name, e] : choices) {
      names.emplace_back(name);
      if (e == value) text = name;
    }
    const std::string picked = pick(key, text, names, doc);
    for (const auto& [name, e] : choices) {
      if (picked == name) value = e;
    }
  }

  // Throws InputError unless low <= value <= high, naming `key` and where it was given.
  void require_range(const std::string& key, double value, double low, double high) const;
  // Throws InputError "<place>: <owner>: <key>: <what>" when `ok` is false.
  void require(bool ok, const std::string& key, const std::string& what) const;

  // After construction: throws InputError for a given key that nobody asked for.
  void finish() const;

  const std::vector<Described>& described() const { return described_; }
  // "kernel=7,pooling=max,window=32": every parameter in effect, sorted by key. No path is in it.
  std::string canonical() const;
  // "PATH sha256" of every file that was given, one a line.
  const std::string& file_hashes() const { return file_hashes_; }

 private:
  const Given* find(const std::string& key) const;
  const std::string& file_of(const Given* given) const;
  std::string place(const std::string& key) const;
  std::string pick(const std::string& key, const std::string& value,
                   const std::vector<std::string>& choices, const std::string& doc);

  std::string owner_, origin_;
  std::vector<Given> given_;
  std::vector<Described> described_;
  std::string file_hashes_;
};

}  // namespace kvbench
