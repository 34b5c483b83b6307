// A sweep split over several processes, which may run on several machines: whole contexts each, so
// that no prefill is made twice.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kvbench {

// Shard `index` of `count`, from 1; the default is a sweep that is not split.
struct Shard {
  int64_t index = 1, count = 0;

  bool is_whole() const { return count == 0; }
  // One shard makes the isolated measurements: shards beside each other would disturb them.
  bool measures_latency() const { return index == 1; }
  std::string text() const;  // "2/4"; "" for a sweep that is not split
};

// Of "I/N". Throws InputError unless 1 <= I <= N.
Shard parse_shard(const std::string& text);

// "a.shard-2-of-4.h5" beside "a.h5", which merge makes of all of them.
std::filesystem::path shard_file(const std::filesystem::path& output, const Shard& shard);

// The shard (from 1) of every context, given their lengths, such that the shards' sums differ
// little: the longest context first, each to the shard that has the least so far (of equals, the
// earlier context and the lower shard). Depends on nothing but its arguments.
// R. L. Graham, Bounds on Multiprocessing Timing Anomalies (1969): the largest sum is at most
// 4/3 - 1/(3 count) of the best one.
std::vector<int64_t> balanced_shards(const std::vector<int64_t>& lengths, int64_t count);

}  // namespace kvbench
