#include "harness/base/hash_cache.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "harness/base/files.h"
#include "harness/base/hash.h"
#include "harness/base/test_util.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

// A working folder with its own cache of hashes and a file that is large enough for it.
class HashCache : public testing::Test {
 protected:
  HashCache() { InTempDir::write("large", bytes); }

  static void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(2100)); }

  // The file's hash, and whether it was read for it.
  static std::pair<std::string, bool> hash_of(const fs::path& file) {
    int64_t n_read = 0;
    std::string hash = file_hash(file, [&](int64_t n) { n_read += n; });
    EXPECT_TRUE(n_read == 0 || n_read == static_cast<int64_t>(fs::file_size(file)));
    return {std::move(hash), n_read > 0};
  }

  static std::vector<fs::path> entries() {
    std::vector<fs::path> files;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator("deps/cache/hashes", none)) {
      files.push_back(entry.path());
    }
    return files;
  }

  InTempDir dir;
  const WithEnv deps{"KVBENCH_DEPS", "deps"};
  const std::string bytes = std::string(kSmallestKeptHash, 'a') + "b";
};

TEST_F(HashCache, ReadsAFileOnceUntilItChanges) {
  const std::pair<std::string, bool> read{sha256_hex(bytes), true}, known{read.first, false};
  EXPECT_EQ(hash_of("large"), read);  // just written: not kept
  EXPECT_EQ(entries().size(), 0u);
  InTempDir::write("small", "abc");
  settle();
  EXPECT_EQ(hash_of("large"), read);
  EXPECT_EQ(hash_of("large"), known);
  fs::create_symlink("large", "link");
  EXPECT_EQ(hash_of("link"), known);  // the same file
  for (int i = 0; i < 2; ++i) {       // small ones are read
    EXPECT_EQ(hash_of("small"), std::make_pair(sha256_hex("abc"), true));
  }
  EXPECT_EQ(entries().size(), 1u);

  // Another file in its place, as long and of the same time.
  const auto time = fs::last_write_time("large");
  const std::string other = "b" + bytes.substr(1);
  InTempDir::write("large", other);
  fs::last_write_time("large", time);
  EXPECT_EQ(hash_of("large"), std::make_pair(sha256_hex(other), true));
}

// What an entry says is taken as it is; one that does not say it as we write it is made anew.
TEST_F(HashCache, DamagedEntriesAreMadeAnew) {
  settle();
  file_hash("large");
  ASSERT_EQ(entries().size(), 1u);
  const fs::path entry = entries()[0];
  const std::string whole = read_file(entry), planted = std::string(64, '0');
  const std::string state = whole.substr(0, whole.size() - 65);
  InTempDir::write(entry, state + planted + "\n");
  EXPECT_EQ(hash_of("large"), std::make_pair(planted, false));
  for (const std::string& damaged :
       {std::string(), whole.substr(0, 20), whole.substr(0, whole.size() - 1), whole.substr(1),
        state + planted.substr(1) + "\n", state + planted.substr(1) + "G\n"}) {
    InTempDir::write(entry, damaged);
    EXPECT_EQ(known_hash("large"), std::nullopt) << damaged;
    EXPECT_EQ(hash_of("large"), std::make_pair(sha256_hex(bytes), true)) << damaged;
    EXPECT_EQ(read_file(entry), whole);
  }
}

TEST_F(HashCache, NeedsNoWritableFolder) {
  settle();
  InTempDir::write("deps", "a file");
  EXPECT_EQ(file_hash("large"), sha256_hex(bytes));
  EXPECT_EQ(error_of([] { file_hash("none"); }), "none: cannot be read");
}

}  // namespace
}  // namespace kvbench
