#include "harness/model/provenance.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "harness/base/files.h"
#include "harness/base/hash.h"
#include "harness/base/hash_cache.h"
#include "harness/base/test_util.h"

namespace kvbench {
namespace {

// A second start does not read large weights again: it believes what is kept of them, here a hash
// that reading them would not give.
TEST(Provenance, ModelHashReadsUnchangedWeightsOnce) {
  const InTempDir dir;
  const WithEnv deps("KVBENCH_DEPS", "deps");
  const std::string weights(kSmallestKeptHash, 'w'), planted(64, '0');
  InTempDir::write("model/model.safetensors", weights);
  InTempDir::write("model/config.json", "{}");
  InTempDir::write("model/other.bin", "not hashed");
  const auto hash_of = [](const std::string& hash_of_weights) {
    return sha256_hex("config.json " + sha256_hex("{}") + "\nmodel.safetensors " + hash_of_weights +
                      "\n");
  };
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));
  EXPECT_EQ(model_hash("model"), hash_of(sha256_hex(weights)));
  const std::filesystem::directory_iterator entry("deps/cache/hashes");
  std::string line = read_file(entry->path());
  line.replace(line.size() - 65, 64, planted);
  InTempDir::write(entry->path(), line);
  EXPECT_EQ(model_hash("model"), hash_of(planted));
  InTempDir::write("model/model.safetensors", weights + "w");
  EXPECT_EQ(model_hash("model"), hash_of(sha256_hex(weights + "w")));
}

}  // namespace
}  // namespace kvbench
