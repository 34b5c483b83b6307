#include "harness/report/blocks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <utility>

#include "harness/report/titles.h"

namespace kvbench {
namespace {

bool is_file(const CellRow& cell) { return cell.source != "generated"; }

int64_t block_length(const CellRow& cell) {
  constexpr int64_t kMost = int64_t{1} << 40;  // no file that is whole has longer samples
  if (!is_file(cell) || cell.max_length < 1 || cell.max_length > kMost) return cell.max_length;
  return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(cell.max_length)));
}

// Everything but the rank of the task's group.
std::string key_of(const RunInfo& run, const CellRow& cell) {
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", identity_text(run), cell.compress, cell.protocol,
                     cell.seed, is_file(cell), block_length(cell));
}

// "4096", or of files the real range: "3791 to 4096".
std::string lengths(const Block& block) {
  int64_t shortest = std::numeric_limits<int64_t>::max(), longest = 0;
  for (const Measured* measured : block.cells) {
    longest = std::max(longest, measured->cell.max_length);
    for (const SampleRow& row : measured->rows) {
      if (!row.error.empty()) continue;
      shortest = std::min(shortest, row.max_length);
      longest = std::max(longest, row.max_length);
    }
  }
  shortest = std::min(shortest, longest);
  return shortest == longest ? fmt::format("{}", longest)
                             : fmt::format("{} to {}", shortest, longest);
}

// Where `text` stands in `seen`, behind which it is put if it is new.
size_t index_of(std::vector<std::string>& seen, const std::string& text) {
  const auto at = std::find(seen.begin(), seen.end(), text);
  if (at != seen.end()) return static_cast<size_t>(at - seen.begin());
  seen.push_back(text);
  return seen.size() - 1;
}

// The files of the block's tasks; more than two as the first one and a count.
std::string sources(const Block& block) {
  std::vector<std::string> names;
  for (const Measured* measured : block.cells) index_of(names, measured->cell.source);
  constexpr size_t kMost = 2;
  if (names.size() <= kMost) return fmt::format("{}", fmt::join(names, " and "));
  return fmt::format("{} and {} more", names[0], names.size() - 1);
}

std::vector<Fact> facts_of(const RunInfo& run, const Block& block, bool has_siblings) {
  const CellRow& cell = block.cells[0]->cell;
  std::vector<Fact> facts = identity_facts(run);
  facts.push_back({"protocol", cell.protocol});
  facts.push_back({"seed", fmt::format("{}", cell.seed)});
  facts.push_back({"", is_file(cell) ? "from files" : "generated"});
  facts.push_back({"from", has_siblings ? sources(block) : "", true});
  facts.push_back({"samples", has_siblings ? first_digits(cell.group_id) : "", true});
  return facts;
}

}  // namespace

std::vector<Block> blocks_of(const Joined& joined) {
  std::vector<Block> blocks;
  std::vector<std::string> keys;                              // of each block
  std::map<std::pair<std::string, size_t>, size_t> block_at;  // by key and rank of the group
  std::map<std::pair<std::string, std::string>, std::vector<std::string>>
      groups;  // by key and task
  for (const Measured& measured : joined.cells) {
    const CellRow& cell = measured.cell;
    if (measured.rows.empty()) continue;
    const std::string key = key_of(joined.runs[measured.run], cell);
    const size_t rank = index_of(groups[{key, cell.task}], cell.group_id);
    const auto [at, added] = block_at.try_emplace({key, rank}, blocks.size());
    if (added) {
      blocks.emplace_back();
      keys.push_back(key);
    }
    Block& block = blocks[at->second];
    block.cells.push_back(&measured);
    index_of(block.tasks, cell.task);
  }
  std::vector<std::vector<Fact>> facts;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const bool has_siblings = std::count(keys.begin(), keys.end(), keys[i]) > 1;
    facts.push_back(facts_of(joined.runs[blocks[i].cells[0]->run], blocks[i], has_siblings));
  }
  const auto differ = differences(facts);
  for (size_t i = 0; i < blocks.size(); ++i) {
    Block& block = blocks[i];
    const RunInfo& run = joined.runs[block.cells[0]->run];
    const CellRow& cell = block.cells[0]->cell;
    block.length = block_length(cell);
    block.title = fmt::format("length {}, compress {}{}{}", lengths(block), cell.compress,
                              differ[i].empty() ? "" : ", ", differ[i]);
    block.values = {static_cast<int64_t>(i + 1),
                    block.title,
                    run.model,
                    run.model_hash,
                    run.dtype,
                    run.prompt_hash,
                    run.end_tokens,
                    run.numerics,
                    block.length,
                    cell.compress,
                    cell.protocol,
                    cell.seed};
  }
  return blocks;
}

std::vector<Column> block_columns() {
  std::vector<Column> columns;
  for (const char* name : {"block", "block_title", "model", "model_hash", "dtype", "prompt_hash",
                           "end_tokens", "numerics", "length", "compress", "protocol", "seed"}) {
    columns.push_back({"", name});
  }
  return columns;
}

}  // namespace kvbench
