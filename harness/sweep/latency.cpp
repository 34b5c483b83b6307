#include "harness/sweep/latency.h"

#include <c10/core/CachingDeviceAllocator.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "harness/base/error.h"
#include "harness/base/hash.h"
#include "harness/engine/compress.h"
#include "harness/engine/decode.h"
#include "harness/model/prompt.h"

namespace kvbench {
namespace {

// Peak memory between construction and bytes(): resident set on the CPU (Linux lets a process reset
// its high-water mark), the caching allocator's on an accelerator.
class PeakMemory {
 public:
  explicit PeakMemory(c10::Device device) : device_(device) {
    if (device.is_cpu()) {
      std::ofstream("/proc/self/clear_refs") << "5";
    } else {
      at::getDeviceAllocator(device.type())->resetPeakStats(device.index());
    }
  }

  int64_t bytes() const {
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
};

// The value that a share of the sorted values does not exceed (nearest rank).
double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::max<size_t>(rank, 1) - 1];
}

LatencyRow measure(const Decoder& model, const Policy& policy, double ratio,
                   const LatencyInput& input, int64_t decode_tokens) {
  const PeakMemory peak(model.device());
  Compressed compressed = compress_context(model, input.context, {{&policy, ratio}}, {});
  CompressedCache& cut = compressed.caches[0];
  if (!cut.error.empty()) {
    throw_input_error("latency: {} at {}: {}", policy.name(), ratio, cut.error);
  }
  LatencyRow row;
  row.policy = policy.name();
  row.ratio = ratio;
  row.context_tokens = static_cast<int64_t>(input.context.size());
  row.prefill_ms = cut.prefill_ms;
  row.score_ms = cut.score_ms;
  row.allocate_ms = cut.allocate_ms;
  row.compact_ms = cut.compact_ms;
  row.kv_bytes_full = model.kv_bytes(row.context_tokens);
  row.kv_bytes_logical = cut.cache->bytes_logical();
  row.kv_bytes_allocated = cut.cache->bytes_allocated();
  row.peak_kv_bytes = cut.peak_kv_bytes;
  // One token more than decode steps: the first comes out of the question's own pass.
  const auto answer = generate(model, {cut.growing()}, input.question, {decode_tokens + 1, {}});
  if (!answer[0].error.empty()) {
    throw_input_error("latency: {} at {}: {}", policy.name(), ratio, answer[0].error);
  }
  const auto& at_ms = answer[0].token_ms;
  row.ttft_ms = row.prefill_ms + row.score_ms + row.allocate_ms + row.compact_ms + at_ms.front();
  std::vector<double> steps;
  for (size_t i = 1; i < at_ms.size(); ++i) steps.push_back(at_ms[i] - at_ms[i - 1]);
  row.decode_tokens = decode_tokens;
  row.tpot_ms = (at_ms.back() - at_ms.front()) / static_cast<double>(steps.size());
  row.tpot_p50 = percentile(steps, 0.50);
  row.tpot_p95 = percentile(steps, 0.95);
  row.tpot_p99 = percentile(steps, 0.99);
  (model.device().is_cpu() ? row.peak_rss_bytes : row.peak_cuda_bytes) = peak.bytes();
  return row;
}

}  // namespace

LatencyInput latency_input(const std::vector<SampleGroup>& groups, int64_t length) {
  LatencyInput input;
  input.question = groups.front().samples.front().question;
  while (static_cast<int64_t>(input.context.size()) < length) {
    for (const auto& group : groups) {
      for (const auto& sample : group.samples) {
        const auto missing = static_cast<size_t>(length) - input.context.size();
        const auto taken = std::min(missing, sample.context.size());
        input.context.insert(input.context.end(), sample.context.begin(),
                             sample.context.begin() + static_cast<std::ptrdiff_t>(taken));
      }
    }
  }
  return input;
}

std::vector<LatencyRow> measure_latency(const Decoder& model, const LatencySpec& spec,
                                        const std::vector<Policy>& policies,
                                        const std::vector<double>& ratios,
                                        const std::vector<SampleGroup>& groups,
                                        const std::string& identity) {
  std::vector<LatencyRow> rows;
  for (const int64_t length : spec.lengths) {
    const LatencyInput input = latency_input(groups, length);
    check_prompt("latency", model.config(), input.context, input.question, spec.decode_tokens + 1);
    for (int64_t round = -spec.warmup; round < spec.repeats; ++round) {
      for (const auto& policy : policies) {
        for (const double ratio : policy.is_full() ? std::vector<double>{0} : ratios) {
          LatencyRow row = measure(model, policy, ratio, input, spec.decode_tokens);
          if (round < 0) continue;
          row.cell_id = sha256_hex(fmt::format("latency {}\n{}\n{}\n{}\n{}", identity,
                                               policy.name(), policy.canonical(), ratio, length))
                            .substr(0, 16);
          rows.push_back(std::move(row));
        }
      }
    }
  }
  return rows;
}

}  // namespace kvbench
