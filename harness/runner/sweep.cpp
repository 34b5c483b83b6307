#include "harness/runner/sweep.h"

#include <ATen/Parallel.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "harness/base/error.h"
#include "harness/base/hash.h"
#include "harness/model/safetensors.h"
#include "harness/results/store.h"
#include "harness/runner/cells.h"
#include "harness/runner/compress.h"
#include "harness/runner/device.h"
#include "harness/runner/generate.h"
#include "harness/runner/progress.h"
#include "harness/runner/run_info.h"
#include "tasks/metrics.h"

namespace kvbench {
namespace {

// A group with its cells.
struct Work {
  SampleGroup group;
  std::vector<SweepCell> cells;
};

std::vector<Policy> make_policies(const SweepConfig& config) {
  std::vector<Policy> policies;
  for (const auto& spec : config.policies) policies.emplace_back(spec);
  return policies;
}

void refuse_what_is_not_there_yet(const SweepConfig& config) {
  if (config.latency) {
    throw_input_error("{}: latency: isolated measurements are not available in this version",
                      config.origin);
  }
  if (config.fidelity) {
    throw_input_error("{}: fidelity: is not available in this version", config.origin);
  }
}

// The row of a cell before anything is measured.
SampleRow blank_row(const SweepCell& cell, const PromptSample& prompt) {
  SampleRow row;
  row.cell_id = cell.row.cell_id;
  row.task = cell.row.task;
  row.max_length = cell.row.max_length;
  row.policy = cell.row.policy;
  row.scorer = cell.row.scorer;
  row.allocator = cell.row.allocator;
  row.ratio = cell.ratio;
  row.compress = cell.row.compress;
  row.sample_id = prompt.sample.id;
  row.references = nlohmann::json(prompt.sample.references).dump();
  row.context_tokens = static_cast<int64_t>(prompt.context.size());
  row.question_tokens = static_cast<int64_t>(prompt.question.size());
  row.path = "shared";
  return row;
}

class SweepRunner {
 public:
  SweepRunner(const SweepConfig& config, const Decoder& model, const PromptFormat& format,
              ResultsStore& store)
      : config_(config), model_(model), format_(format), store_(store) {}

  // One prefill of the sample for all of its cells that are not in the file yet. Returns how many.
  int64_t run_sample(const Work& work, const PromptSample& prompt) {
    std::vector<const SweepCell*> cells;
    std::vector<PolicyAtRatio> policies;
    for (const auto& cell : work.cells) {
      if (store_.finished().contains({cell.row.cell_id, prompt.sample.id})) continue;
      cells.push_back(&cell);
      policies.push_back({cell.policy, cell.ratio});
    }
    if (cells.empty()) return 0;

    CompressOptions compress;
    compress.seed = static_cast<uint64_t>(prompt.sample.id) + work.group.request.seed;
    Compressed compressed = compress_context(model_, prompt.context, policies, compress);

    std::vector<SampleRow> rows;
    std::vector<KvCache*> caches;
    std::vector<size_t> row_of_cache;
    for (size_t i = 0; i < cells.size(); ++i) {
      rows.push_back(blank_row(*cells[i], prompt));
      rows[i].prefill_ms = compressed.prefill_ms;
      record_cache(compressed.caches[i], rows[i]);
      if (compressed.caches[i].cache) {
        caches.push_back(compressed.caches[i].cache.get());
        row_of_cache.push_back(i);
      }
    }
    const GenerateOptions options{prompt.sample.max_new_tokens, model_.config().end_tokens};
    const auto answers = generate(model_, caches, prompt.question, compressed.last_logits, options);
    for (size_t a = 0; a < answers.size(); ++a) {
      grade_answer(answers[a], work.group.metric, prompt.sample, rows[row_of_cache[a]]);
    }
    for (size_t i = 0; i < cells.size(); ++i) {
      store_.append(rows[i], compressed.caches[i].keep_counts);
    }
    return static_cast<int64_t>(cells.size());
  }

 private:
  // Budgets and bytes, taken right after compression.
  void record_cache(const CompressedCache& compressed, SampleRow& row) const {
    row.error = compressed.error;
    const ModelConfig& config = model_.config();
    const int64_t n_heads = config.n_layers * config.n_kv_heads;
    const auto row_bytes =
        2 * config.head_dim * static_cast<int64_t>(c10::elementSize(model_.dtype()));
    row.kv_bytes_full = n_heads * row.context_tokens * row_bytes;
    if (!compressed.cache) return;
    int64_t kept = 0;
    for (const auto count : compressed.keep_counts) kept += count;
    row.kept_tokens = static_cast<double>(kept) / static_cast<double>(n_heads);
    row.kept_ratio = row.kept_tokens / static_cast<double>(row.context_tokens);
    row.kv_bytes_logical = compressed.cache->bytes_logical();
    row.kv_bytes_allocated = compressed.cache->bytes_allocated();
    row.score_ms = compressed.score_ms;
    row.compact_ms = compressed.compact_ms;
  }

  void grade_answer(const Generation& answer, const std::string& metric, const Sample& sample,
                    SampleRow& row) const {
    row.generated_tokens = static_cast<int64_t>(answer.tokens.size());
    row.decode_ms = answer.ms;
    try {
      row.prediction = format_.tokenizer().decode(answer.tokens, /*skip_special_tokens=*/true);
      row.score = grade(metric, row.prediction, sample.references);
    } catch (const InputError& e) {  // an id that the tokenizer does not have (padded vocabulary)
      row.error = e.what();
    }
  }

  const SweepConfig& config_;
  const Decoder& model_;
  const PromptFormat& format_;
  ResultsStore& store_;
};

void print_plan(const std::vector<Work>& works) {
  for (const auto& work : works) {
    for (const auto& cell : work.cells) {
      fmt::print("{}  {} length {} compress {}  {} at {}  {} samples\n", cell.row.cell_id,
                 cell.row.task, cell.row.max_length, cell.row.compress, cell.row.policy, cell.ratio,
                 cell.row.n_planned);
    }
  }
}

}  // namespace

std::filesystem::path run_sweep(const SweepConfig& config, const SweepOptions& options) {
  refuse_what_is_not_there_yet(config);
  const std::vector<Policy> policies = make_policies(config);
  ResultsStore::check_writable(config.output);
  const c10::Device device = resolve_device(config.device);
  ensure_model(config.model);
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  const ModelConfig model_config = load_model_config(config.model.path);
  for (const auto& policy : policies) policy.validate(model_config.n_layers, model_config.n_kv_heads);
  const at::ScalarType dtype = model_dtype(config.model, model_config);
  const PromptFormat format(config.model.path, config.chat_template);

  RunInfo info = describe_run(config, device, dtype);
  const std::string identity = fmt::format("{} {} {} chat={}", info.model_hash, info.tokenizer_hash,
                                           dtype_name(dtype), config.chat_template);
  std::vector<Work> works;
  std::vector<Cell> cells;
  for (auto& group : load_groups(config, format, model_config)) {
    info.data_hashes += fmt::format("{}/{}/{} {}\n", group.request.name, group.request.length,
                                    group.compress, group.data_hash);
    Work& work = works.emplace_back();
    work.group = std::move(group);
    work.cells = cells_of(work.group, policies, config.ratios, identity);
    for (const auto& cell : work.cells) cells.push_back(cell.row);
  }
  const Weights headers(config.model.path);  // missing or truncated ones are found here
  if (options.dry_run) {
    print_plan(works);
    return config.output;
  }

  ResultsStore store(config.output, info, cells, model_config.n_layers, model_config.n_kv_heads,
                     options.fresh);
  if (store.complete()) return config.output;
  const Decoder model(config.model.path, dtype, device);
  SweepRunner runner(config, model, format, store);
  Progress progress(store.planned_rows(), static_cast<int64_t>(store.finished().size()));
  for (const auto& work : works) {
    for (const auto& prompt : work.group.samples) {
      const int64_t n_cells = runner.run_sample(work, prompt);
      if (n_cells > 0) progress.advance(n_cells, work.group.request.name);
    }
  }
  store.finish();
  return config.output;
}

}  // namespace kvbench
