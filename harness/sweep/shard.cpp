#include "harness/sweep/shard.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <numeric>
#include <queue>
#include <utility>

#include "harness/base/error.h"

namespace kvbench {

std::string Shard::text() const { return is_whole() ? "" : fmt::format("{}/{}", index, count); }

Shard parse_shard(const std::string& text) {
  Shard shard;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, shard.index);
  const bool has_two = first.ec == std::errc() && first.ptr != end && *first.ptr == '/';
  const auto second = has_two ? std::from_chars(first.ptr + 1, end, shard.count) : first;
  if (!has_two || second.ec != std::errc() || second.ptr != end) {
    throw_input_error("--shard: \"{}\", expected I/N, such as 2/4", text);
  }
  if (shard.count < 1 || shard.index < 1 || shard.index > shard.count) {
    throw_input_error("--shard: {}, expected 1/N to N/N: shards are counted from 1", text);
  }
  return shard;
}

std::filesystem::path shard_file(const std::filesystem::path& output, const Shard& shard) {
  if (shard.is_whole()) return output;
  const std::string name = fmt::format("{}.shard-{}-of-{}{}", output.stem().string(), shard.index,
                                       shard.count, output.extension().string());
  return output.parent_path() / name;
}

std::vector<int64_t> balanced_shards(const std::vector<int64_t>& lengths, int64_t count) {
  std::vector<size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return lengths[a] > lengths[b]; });
  using Load = std::pair<int64_t, int64_t>;  // tokens, shard
  std::priority_queue<Load, std::vector<Load>, std::greater<>> loads;
  for (int64_t shard = 1; shard <= count; ++shard) loads.emplace(0, shard);
  std::vector<int64_t> shards(lengths.size());
  for (const size_t context : order) {
    const auto [load, shard] = loads.top();
    loads.pop();
    shards[context] = shard;
    loads.emplace(load + lengths[context], shard);
  }
  return shards;
}

}  // namespace kvbench
