#include "harness/sweep/plan.h"

#include <algorithm>
#include <utility>

#include "harness/base/error.h"
#include "harness/sweep/latency.h"

namespace kvbench {
namespace {

// Gives every context to a shard; the groups keep those of `shard`. Throws InputError for more
// shards than contexts.
void split(std::vector<SweepPlan::Group>& groups, const Shard& shard) {
  std::vector<int64_t> lengths;
  for (auto& group : groups) {
    group.contexts = group.samples.by_context();
    group.shards_of.resize(static_cast<size_t>(group.samples.samples->size()));
    for (const auto& members : group.contexts) {
      lengths.push_back(group.samples.about_tokens(members.front()));
    }
  }
  if (shard.count > std::ssize(lengths)) {
    throw_input_error("--shard: {}, expected at most {} shards: as many contexts are in the sweep",
                      shard.text(), lengths.size());
  }
  const auto shards = balanced_shards(lengths, std::max<int64_t>(shard.count, 1));
  auto made_by = shards.begin();
  for (auto& group : groups) {
    for (const auto& members : group.contexts) {
      for (const auto i : members) group.shards_of[static_cast<size_t>(i)] = *made_by;
      ++made_by;
    }
    std::erase_if(group.contexts, [&](const auto& members) {
      return group.shards_of[static_cast<size_t>(members.front())] != shard.index;
    });
    group.n_samples = std::count(group.shards_of.begin(), group.shards_of.end(), shard.index);
  }
}

}  // namespace

std::vector<SampleGroup> SweepPlan::sample_groups() const {
  std::vector<SampleGroup> all;
  for (const auto& group : groups) all.push_back(group.samples);
  return all;
}

std::string SweepPlan::text() const {
  std::string text;
  for (const auto& group : groups) {
    for (const auto& [row, policy, ratio] : group.cells) {
      // Own data has no length that was asked for.
      const auto length = row.max_length > 0 ? fmt::format(" length {}", row.max_length) : "";
      text += fmt::format("{}  {}{} compress {}  {} at {}  {} samples\n", row.cell_id, row.task,
                          length, row.compress, row.policy, ratio_name(row.ratio), group.n_samples);
    }
  }
  return text;
}

SweepPlan make_plan(const SweepConfig& config, const std::vector<Policy>& policies,
                    const PromptFormat& format, const ModelConfig& model,
                    const std::string& identity, const Shard& shard) {
  SweepPlan plan;
  for (auto& samples : open_groups(config, format, model, identity)) {
    check_windows(samples, policies);
    auto cells = cells_of(samples, policies, config.ratios);
    plan.groups.push_back({std::move(samples), std::move(cells)});
  }
  split(plan.groups, shard);
  if (config.latency) {
    check_latency(*config.latency, policies, plan.sample_groups(), model, format.n_around());
  }
  return plan;
}

}  // namespace kvbench
