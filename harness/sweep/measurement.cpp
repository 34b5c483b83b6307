#include "harness/sweep/measurement.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <stdexcept>

#include "harness/base/energy.h"
#include "harness/base/error.h"
#include "harness/engine/compress.h"
#include "harness/engine/decode_pool.h"
#include "harness/engine/peak_memory.h"
#include "harness/engine/read_bandwidth.h"
#include "harness/model/device.h"
#include "harness/text/tokenizer.h"
#include "policies/plugins.h"

namespace kvbench {
namespace {

// The value that a share of the sorted values does not exceed (nearest rank).
double percentile(const std::vector<double>& sorted, double share) {
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::max<size_t>(rank, 1) - 1];
}

// The compressed context as often as a batch has sequences.
class Copies {
 public:
  Copies(const CompressedCache& cut, int64_t n) {
    growing_.push_back(cut.growing());
    for (int64_t i = 1; i < n; ++i) {
      GrowingCache& copy = growing_.emplace_back(cut.growing());
      copy.cache = &caches_.emplace_back(cut.cache->clone());
      if (cut.eviction != nullptr) copy.eviction = &evictions_.emplace_back(*cut.eviction);
    }
  }
  const std::vector<GrowingCache>& growing() const { return growing_; }

 private:
  std::vector<GrowingCache> growing_;
  std::deque<KvCache> caches_;  // at fixed addresses
  std::deque<Eviction> evictions_;
};

void set_step_times(const std::vector<double>& at_ms, int64_t batch, LatencyRow& row) {
  std::vector<double> steps;
  for (size_t i = 1; i < at_ms.size(); ++i) steps.push_back(at_ms[i] - at_ms[i - 1]);
  row.tpot_ms = (at_ms.back() - at_ms.front()) / static_cast<double>(steps.size());
  std::sort(steps.begin(), steps.end());
  row.tpot_p50 = percentile(steps, 0.50);
  row.tpot_p90 = percentile(steps, 0.90);
  row.tpot_p95 = percentile(steps, 0.95);
  row.tpot_p99 = percentile(steps, 0.99);
  constexpr double kSecond = 1e3;
  row.tokens_per_s = kSecond * static_cast<double>(batch) / row.tpot_ms;
}

void run(const Decoder& model, const Policy& policy, const Measurement& asked,
         const ContextFrame& frame, LatencyRow& row) {
  const PeakMemory peak(model.device());
  Compressed compressed = compress_context(model, asked.input.context, {{&policy, asked.ratio}},
                                           {.timed = true, .frame = frame});
  const CompressedCache& cut = compressed.caches[0];
  if (!cut.error.empty()) throw std::runtime_error(cut.error);
  row.prefill_ms = cut.prefill_ms;
  row.score_ms = cut.score_ms;
  row.score_tokens = cut.score_tokens;
  row.allocate_ms = cut.allocate_ms;
  row.compact_ms = cut.compact_ms;
  row.kv_bytes_logical = cut.cache->bytes_logical();
  row.kv_bytes_allocated = cut.cache->bytes_allocated();
  row.peak_kv_bytes = cut.peak_kv_bytes;

  const Copies sequences(cut, asked.batch);
  std::vector<Generation> answers;
  DecodePool pool(model);
  // One token more than decode steps: the first comes out of the question's own pass.
  pool.ask(sequences.growing(), asked.input.question,
           {.max_new_tokens = asked.decode_tokens + 1, .look_every = 1},
           [&](std::vector<Generation> said) { answers = std::move(said); });
  const Attended before = cut.cache->attended();
  const CpuEnergy cpu;
  const GpuEnergy gpu(pci_address(model.device()));
  while (pool.is_busy()) pool.step();
  const auto n_tokens = static_cast<double>(asked.decode_tokens * asked.batch);
  if (const auto joules = cpu.joules()) row.cpu_joules = *joules / n_tokens;
  if (const auto joules = gpu.joules()) row.gpu_joules = *joules / n_tokens;
  for (const Generation& answer : answers) {
    if (!answer.error.empty()) throw std::runtime_error(answer.error);
  }
  const auto& at_ms = answers[0].token_ms;
  row.question_ms = at_ms.front();
  row.ttft_ms = row.prefill_ms + row.score_ms + row.allocate_ms + row.compact_ms + row.question_ms;
  set_step_times(at_ms, asked.batch, row);
  const Attended& after = answers[0].attended;
  const int64_t entry_bytes =
      2 * model.config().head_dim * static_cast<int64_t>(c10::elementSize(model.dtype()));
  row.cache_bytes = static_cast<double>(asked.batch * entry_bytes) *
                    static_cast<double>(after.n_entries - before.n_entries) /
                    static_cast<double>(after.n_passes - before.n_passes);
  if (model.device().is_cpu()) {
    row.peak_rss_bytes = peak.bytes();
    row.peak_own_bytes = peak.own_bytes();
  } else {
    row.peak_cuda_bytes = peak.bytes();
  }
}

at::ScalarType dtype_of(const std::string& name) {
  return std::map<std::string, at::ScalarType>{
      {"float32", at::kFloat}, {"bfloat16", at::kBFloat16}, {"float16", at::kHalf}}
      .at(name);
}

}  // namespace

LatencyRow measure(const Measurement& asked) {
  load_plugins({asked.plugins.begin(), asked.plugins.end()});
  if (asked.threads > 0) at::set_num_threads(static_cast<int>(asked.threads));
  const Policy policy(asked.policy);
  const Decoder model(asked.model, dtype_of(asked.dtype), resolve_device(asked.device));
  const Tokenizer tokenizer = Tokenizer::load_folder(asked.model);
  const ContextFrame frame = {asked.input.n_head, asked.input.tail,
                              [&](const std::string& text) { return tokenizer.encode(text); }};
  LatencyRow row;
  row.kv_bytes_full = model.kv_bytes(std::ssize(asked.input.context));
  row.weight_bytes = model.step_weight_bytes();
  for (int64_t i = 0; i < asked.warmup; ++i) run(model, policy, asked, frame, row);
  row.read_bytes_per_s =
      read_bandwidth(model.device(), row.weight_bytes + asked.batch * row.kv_bytes_full);
  run(model, policy, asked, frame, row);
  constexpr double kSecond = 1e3;
  row.floor_ms =
      kSecond * (static_cast<double>(row.weight_bytes) + row.cache_bytes) / row.read_bytes_per_s;
  return row;
}

}  // namespace kvbench
