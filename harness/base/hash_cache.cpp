#include "harness/base/hash_cache.h"

#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <fstream>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/hash.h"
#include "harness/base/paths.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNanoseconds = 1'000'000'000;

int64_t nanoseconds(const timespec& time) { return time.tv_sec * kNanoseconds + time.tv_nsec; }

// What a file is recognised by. ctime is there too because nobody can set it: a copy that keeps the
// times of its original does not pass for the file that it replaced.
struct FileState {
  int64_t size = 0, changed = 0;  // bytes; nanoseconds, the later one of mtime and ctime
  std::string text;
};

std::optional<FileState> state_of(const fs::path& file) {
  struct stat s {};
  if (::stat(file.c_str(), &s) != 0 || !S_ISREG(s.st_mode)) return std::nullopt;
  const int64_t mtime = nanoseconds(s.st_mtim), ctime = nanoseconds(s.st_ctim);
  return FileState{s.st_size, std::max(mtime, ctime),
                   fmt::format("1 {} {} {} {} {}", s.st_dev, s.st_ino, s.st_size, mtime, ctime)};
}

// The clock that stamps files: it lags behind the finer ones by up to a tick.
int64_t now() {
  timespec time{};
  KVB_CHECK(clock_gettime(CLOCK_REALTIME_COARSE, &time) == 0, "there is no clock");
  return nanoseconds(time);
}

// One file an entry, named by a hash of the path: processes write different ones without a lock.
fs::path entry_of(const fs::path& file) {
  return deps_dir() / "cache" / "hashes" / sha256_hex(fs::canonical(file).string());
}

// The hash in an entry "STATE HASH\n"; nullopt for an entry of another state or a damaged one.
std::optional<std::string> read_entry(const fs::path& entry, const FileState& state) {
  std::ifstream in(entry, std::ios::binary);
  std::string line;
  if (!std::getline(in, line) || in.eof()) return std::nullopt;  // without its end: cut
  constexpr size_t kHashLength = 64;
  if (line.size() != state.text.size() + 1 + kHashLength || !line.starts_with(state.text + " ")) {
    return std::nullopt;
  }
  std::string hash = line.substr(line.size() - kHashLength);
  if (hash.find_first_not_of("0123456789abcdef") != std::string::npos) return std::nullopt;
  return hash;
}

}  // namespace

std::optional<std::string> known_hash(const fs::path& file) {
  const auto state = state_of(file);
  if (!state || state->size < kSmallestKeptHash) return std::nullopt;
  return read_entry(entry_of(file), *state);
}

std::string file_hash(const fs::path& file, const std::function<void(int64_t bytes)>& on_read) {
  if (auto hash = known_hash(file)) return *hash;
  const auto before = state_of(file);
  const std::string hash = sha256_file(file, on_read);
  const auto after = state_of(file);
  constexpr int64_t kSettled = 2 * kNanoseconds;
  if (before && after && before->text == after->text && after->size >= kSmallestKeptHash &&
      now() - after->changed >= kSettled) {
    write_cache_file(entry_of(file), fmt::format("{} {}\n", after->text, hash));
  }
  return hash;
}

}  // namespace kvbench
