#include "harness/sweep/latency.h"

#include <c10/core/CachingDeviceAllocator.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "harness/base/error.h"
#include "harness/base/hash.h"
#include "harness/engine/compress.h"
#include "harness/engine/generate.h"
#include "harness/model/prompt.h"

namespace kvbench {
namespace {

// Peak memory between construction and bytes(): resident set on the CPU (Linux lets a process reset
// its high-water mark), the caching allocator's on an accelerator.
class PeakMemory {
 public:
  explicit PeakMemory(c10::Device device) : device_(device) {
    if (device.is_cpu()) {
      std::ofstream clear("/proc/self/clear_refs");
      clear << "5" << std::flush;
      is_reset_ = clear.good();
    } else {
      at::getDeviceAllocator(device.type())->resetPeakStats(device.index());
    }
  }

  // 0 = cannot tell: the high-water mark could not be reset, so it is an earlier one's.
  int64_t bytes() const {
    if (!is_reset_) return 0;
    if (!device_.is_cpu()) {
      const auto stats = at::getDeviceAllocator(device_.type())->getDeviceStats(device_.index());
      constexpr size_t kAll = 0;  // StatType::AGGREGATE
      return stats.allocated_bytes[kAll].peak;
    }
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
    }
    return 0;
  }

 private:
  c10::Device device_;
  bool is_reset_ = true;
};

// The value that a share of the sorted values does not exceed (nearest rank).
double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::max<size_t>(rank, 1) - 1];
}

// Fills in what is measured; throws whatever goes wrong.
void measure(const Decoder& model, const Policy& policy, double ratio, const LatencyInput& input,
             LatencyRow& row) {
  const PeakMemory peak(model.device());
  Compressed compressed = compress_context(model, input.context, {{&policy, ratio}},
                                           {.timed = true, .frame = input.frame});
  const CompressedCache& cut = compressed.caches[0];
  if (!cut.error.empty()) throw std::runtime_error(cut.error);
  const int64_t bytes_logical = cut.cache->bytes_logical();
  const int64_t bytes_allocated = cut.cache->bytes_allocated();
  // One token more than decode steps: the first comes out of the question's own pass.
  const auto answer = generate(model, {cut.growing()}, input.question,
                               {.max_new_tokens = row.decode_tokens + 1, .look_every = 1});
  if (!answer[0].error.empty()) throw std::runtime_error(answer[0].error);
  row.prefill_ms = cut.prefill_ms;
  row.score_ms = cut.score_ms;
  row.score_tokens = cut.score_tokens;
  row.allocate_ms = cut.allocate_ms;
  row.compact_ms = cut.compact_ms;
  row.kv_bytes_logical = bytes_logical;
  row.kv_bytes_allocated = bytes_allocated;
  row.peak_kv_bytes = cut.peak_kv_bytes;
  const auto& at_ms = answer[0].token_ms;
  row.ttft_ms = row.prefill_ms + row.score_ms + row.allocate_ms + row.compact_ms + at_ms.front();
  std::vector<double> steps;
  for (size_t i = 1; i < at_ms.size(); ++i) steps.push_back(at_ms[i] - at_ms[i - 1]);
  row.tpot_ms = (at_ms.back() - at_ms.front()) / static_cast<double>(steps.size());
  row.tpot_p50 = percentile(steps, 0.50);
  row.tpot_p95 = percentile(steps, 0.95);
  row.tpot_p99 = percentile(steps, 0.99);
  (model.device().is_cpu() ? row.peak_rss_bytes : row.peak_cuda_bytes) = peak.bytes();
}

// One policy at one ratio and length.
struct LatencyCell {
  const Policy* policy;
  double ratio;        // what the policy is told
  size_t input;        // of the inputs by length
  LatencyRow row;      // what is known before
  int64_t n_done = 0;  // repeats that are there
};

std::vector<LatencyCell> cells_of(const LatencySpec& spec, const std::vector<Policy>& policies,
                                  const std::vector<double>& ratios, const std::string& identity) {
  std::vector<LatencyCell> cells;
  for (size_t i = 0; i < spec.lengths.size(); ++i) {
    for (const auto& policy : policies) {
      if (policy.needs_answer()) continue;
      for (const double ratio : ratios_of(policy, ratios)) {
        LatencyRow row;
        row.policy_id = policy_id(policy);
        row.policy = policy.name();
        row.ratio = ratio;
        row.context_tokens = spec.lengths[i];
        row.decode_tokens = spec.decode_tokens;
        row.cell_id = sha256_hex(fmt::format("latency {}\n{}\n{}\n{}\n{}", identity, row.policy_id,
                                             ratio, row.context_tokens, row.decode_tokens))
                          .substr(0, 16);
        cells.push_back({&policy, told_ratio(ratio), i, std::move(row), 0});
      }
    }
  }
  return cells;
}

// Those whose repeats are not all there.
std::vector<LatencyCell> open_cells(const LatencySpec& spec, const std::vector<Policy>& policies,
                                    const std::vector<double>& ratios, const std::string& identity,
                                    const ResultsStore& store) {
  std::map<std::string, int64_t> n_done;
  for (const LatencyRow& row : store.latency()) ++n_done[row.cell_id];
  std::vector<LatencyCell> cells = cells_of(spec, policies, ratios, identity);
  for (LatencyCell& cell : cells) cell.n_done = n_done[cell.row.cell_id];
  std::erase_if(cells, [&](const auto& cell) { return cell.n_done >= spec.repeats; });
  return cells;
}

std::vector<int32_t> question_of(const std::vector<SampleGroup>& groups) {
  return groups.front().at(0).prompt.question;
}

}  // namespace

LatencyInput latency_input(const std::vector<SampleGroup>& groups, int64_t length) {
  LatencyInput input;
  input.question = question_of(groups);
  input.frame = groups.front().format->context_frame(groups.front().protocol().prompt);
  while (static_cast<int64_t>(input.context.size()) < length) {
    for (const auto& group : groups) {
      for (int64_t i = 0; i < group.samples->size(); ++i) {
        const auto missing = static_cast<size_t>(length) - input.context.size();
        if (missing == 0) return input;
        const auto context = group.at(i).prompt.context;
        const auto taken = std::min(missing, context.size());
        input.context.insert(input.context.end(), context.begin(),
                             context.begin() + static_cast<std::ptrdiff_t>(taken));
      }
    }
  }
  return input;
}

void check_latency(const LatencySpec& spec, const std::vector<Policy>& policies,
                   const std::vector<SampleGroup>& groups, const ModelConfig& model,
                   int64_t n_around) {
  const auto n_question = static_cast<int64_t>(question_of(groups).size());
  for (const int64_t length : spec.lengths) {
    // Before a context is made of that length, which may be beyond all memory.
    if (length > model.most_tokens() - n_question - spec.decode_tokens - 1) {
      throw_input_error(
          "latency: length {}, question of {} tokens ({} of a prompt are the chat template's) and "
          "{} decode tokens are more than the model's {}",
          length, n_question, n_around, spec.decode_tokens + 1, model.token_limit());
    }
    for (const auto& policy : policies) {
      if (length >= policy.least_tokens()) continue;
      throw_input_error("latency: length {}: policy {} needs a context of at least {} tokens",
                        length, policy.name(), policy.least_tokens());
    }
  }
}

bool measure_latency(const Decoder& model, const LatencySpec& spec,
                     const std::vector<Policy>& policies, const std::vector<double>& ratios,
                     const std::vector<SampleGroup>& groups, const std::string& identity,
                     ResultsStore& store, const std::function<bool()>& stop) {
  const std::vector<LatencyCell> cells = open_cells(spec, policies, ratios, identity, store);
  std::vector<LatencyInput> inputs;
  for (const int64_t length : spec.lengths) inputs.push_back(latency_input(groups, length));
  for (int64_t round = -spec.warmup; round < spec.repeats; ++round) {
    if (stop && stop()) return false;
    std::vector<LatencyRow> rows;
    for (const LatencyCell& cell : cells) {
      if (round >= 0 && round < cell.n_done) continue;
      LatencyRow row = cell.row;
      row.repeat = round;
      row.kv_bytes_full = model.kv_bytes(row.context_tokens);
      try {
        measure(model, *cell.policy, cell.ratio, inputs[cell.input], row);
      } catch (...) {
        row.error = current_error();
      }
      if (round >= 0) rows.push_back(std::move(row));
    }
    store.add_latency(rows);
  }
  return true;
}

bool is_measured(const LatencySpec& spec, const std::vector<Policy>& policies,
                 const std::vector<double>& ratios, const std::string& identity,
                 const ResultsStore& store) {
  return open_cells(spec, policies, ratios, identity, store).empty();
}

}  // namespace kvbench
