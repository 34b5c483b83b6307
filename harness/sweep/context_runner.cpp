#include "harness/sweep/context_runner.h"

#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "harness/base/error.h"
#include "harness/config/policy_yaml.h"
#include "harness/engine/fidelity.h"
#include "harness/engine/observed_context.h"
#include "tasks/metrics.h"

namespace kvbench {
namespace {

// The caches that one question goes into. The context must be there again for the next one: a cache
// that is only appended to is rewound, one that is evicted from meanwhile stands in as a copy.
class Answering {
 public:
  explicit Answering(const std::vector<GrowingCache>& contexts) : caches_(contexts) {
    copies_.reserve(contexts.size());
    evictions_.reserve(contexts.size());
    for (auto& growing : caches_) {
      if (growing.eviction == nullptr) continue;
      growing.cache = &copies_.emplace_back(growing.cache->clone());
      growing.eviction = &evictions_.emplace_back(*growing.eviction);
    }
  }

  const std::vector<GrowingCache>& caches() const { return caches_; }

  void undo() {
    for (auto& growing : caches_) {
      if (growing.eviction == nullptr) growing.cache->rewind();
    }
  }

 private:
  std::vector<GrowingCache> caches_;
  std::vector<KvCache> copies_;
  std::vector<Eviction> evictions_;
};

}  // namespace

std::vector<std::vector<const PromptSample*>> by_context(const std::vector<PromptSample>& samples) {
  std::vector<std::vector<const PromptSample*>> groups;
  std::map<std::vector<int32_t>, size_t> known;
  for (const auto& sample : samples) {
    const auto [it, is_new] = known.try_emplace(sample.context, groups.size());
    if (is_new) groups.emplace_back();
    groups[it->second].push_back(&sample);
  }
  return groups;
}

ContextRunner::ContextRunner(const Decoder& model, const PromptFormat& format, ResultsStore& store,
                             bool fidelity)
    : model_(model),
      format_(format),
      store_(store),
      fidelity_(fidelity),
      full_(parse_policy_text("{name: full, full: true}")) {}

int64_t ContextRunner::run(const SampleGroup& group, const std::vector<SweepCell>& cells,
                           const std::vector<const PromptSample*>& questions) {
  // A cell takes part when any of its questions is open.
  std::vector<const SweepCell*> before_answer, after_answer;
  for (const auto& cell : cells) {
    const bool all_finished =
        std::all_of(questions.begin(), questions.end(),
                    [&](const PromptSample* prompt) { return is_finished(cell, *prompt); });
    if (all_finished) continue;
    (cell.policy->needs_answer() ? after_answer : before_answer).push_back(&cell);
  }
  if (before_answer.empty() && after_answer.empty()) return 0;

  const PromptSample& first = *questions.front();
  CompressOptions options;
  options.seed = group.request.seed + static_cast<uint64_t>(first.sample.id);
  const bool with_full = fidelity_ || !after_answer.empty();
  options.keep_prefill = !after_answer.empty();
  const CutCells cut = cut_cells(first, before_answer, with_full, options);
  std::optional<ObservedContext> observed;
  int64_t n_rows = 0;
  for (const PromptSample* prompt : questions) {
    FullAnswer full;
    if (with_full) full.cache = cut.full.growing();
    n_rows += answer(group, *prompt, cut, full);
    std::vector<const SweepCell*> open;
    for (const auto* cell : after_answer) {
      if (!is_finished(*cell, *prompt)) open.push_back(cell);
    }
    if (open.empty()) continue;
    if (!observed) {
      observed.emplace(model_, cut.prefilled.layers, lukv::OracleNorm::kLayer);
    }
    CompressOptions seen = options;
    const auto say_the_same = [&](int64_t step, const at::Tensor&) -> int64_t {
      return full.said[static_cast<size_t>(step)];
    };
    const auto n_steps = static_cast<int64_t>(full.said.size()) - 1;
    seen.importance =
        ObservedContext::importance({{&*observed, prompt->question, say_the_same}}, n_steps)[0]
            .unbind();
    n_rows += answer(group, *prompt, cut_cells(first, open, cut.prefilled, seen), full);
  }
  return n_rows;
}

ContextRunner::CutCells ContextRunner::cut_cells(const PromptSample& prompt,
                                                 const std::vector<const SweepCell*>& cells,
                                                 bool with_full,
                                                 const CompressOptions& options) const {
  std::vector<PolicyAtRatio> policies;
  for (const auto* cell : cells) policies.push_back({cell->policy, cell->ratio});
  if (with_full) policies.push_back({&full_, 0});
  CutCells cut;
  cut.cells = cells;
  Compressed compressed = compress_context(model_, prompt.context, policies, options);
  cut.caches = std::move(compressed.caches);
  cut.prefilled = std::move(compressed.prefilled);
  if (with_full) {
    cut.full = std::move(cut.caches.back());
    cut.caches.pop_back();
  }
  for (size_t i = 0; i < cells.size(); ++i) {
    cut.rows.push_back(compressed_row(*cells[i], cut.caches[i], prompt));
  }
  return cut;
}

ContextRunner::CutCells ContextRunner::cut_cells(const PromptSample& prompt,
                                                 const std::vector<const SweepCell*>& cells,
                                                 const Prefilled& prefilled,
                                                 const CompressOptions& options) const {
  std::vector<PolicyAtRatio> policies;
  for (const auto* cell : cells) policies.push_back({cell->policy, cell->ratio});
  CutCells cut;
  cut.cells = cells;
  cut.caches = compress_prefilled(model_, prefilled, policies, options);
  for (size_t i = 0; i < cells.size(); ++i) {
    cut.rows.push_back(compressed_row(*cells[i], cut.caches[i], prompt));
  }
  return cut;
}

int64_t ContextRunner::answer(const SampleGroup& group, const PromptSample& prompt,
                              const CutCells& cut, FullAnswer& full) {
  std::vector<GrowingCache> caches;
  std::vector<size_t> cell_of_cache, asked;
  for (size_t i = 0; i < cut.cells.size(); ++i) {
    if (is_finished(*cut.cells[i], prompt)) continue;
    asked.push_back(i);
    if (cut.caches[i].cache == nullptr) continue;
    caches.push_back(cut.caches[i].growing());
    cell_of_cache.push_back(i);
  }
  const bool full_answers_too = full.cache.cache != nullptr && full.said.empty();
  if (full_answers_too) caches.push_back(full.cache);
  Answering answering(caches);
  const auto answers = generate(model_, answering.caches(), prompt.question,
                                {prompt.sample.max_new_tokens, model_.config().end_tokens});
  std::vector<SampleRow> rows = cut.rows;
  for (size_t a = 0; a < cell_of_cache.size(); ++a) {
    SampleRow& row = rows[cell_of_cache[a]];
    grade_answer(answers[a], group.metric, prompt.sample, row);
    row.kv_bytes_end = answering.caches()[a].cache->bytes_allocated();
  }
  answering.undo();
  if (full_answers_too) full.said = answers.back().tokens;
  if (fidelity_) measure_fidelity(prompt, full, caches, cell_of_cache, rows);
  for (const size_t i : asked) {
    rows[i].sample_id = prompt.sample.id;
    rows[i].references = nlohmann::json(prompt.sample.references).dump();
    rows[i].question_tokens = static_cast<int64_t>(prompt.question.size());
    store_.append(rows[i], cut.caches[i].keep_counts);
  }
  return static_cast<int64_t>(asked.size());
}

bool ContextRunner::is_finished(const SweepCell& cell, const PromptSample& prompt) const {
  return store_.finished().contains({cell.row.cell_id, prompt.sample.id});
}

// Identity, budgets, and bytes as they are right after compression.
SampleRow ContextRunner::compressed_row(const SweepCell& cell, const CompressedCache& cut,
                                        const PromptSample& prompt) const {
  const ModelConfig& config = model_.config();
  SampleRow row;
  row.cell_id = cell.row.cell_id;
  row.task = cell.row.task;
  row.max_length = cell.row.max_length;
  row.policy = cell.row.policy;
  row.scorer = cell.row.scorer;
  row.allocator = cell.row.allocator;
  row.ratio = cell.ratio;
  row.compress = cell.row.compress;
  row.context_tokens = static_cast<int64_t>(prompt.context.size());
  row.path = PolicyAtRatio{cell.policy, cell.ratio}.is_chunked() ? "chunked" : "shared";
  row.prefill_ms = cut.prefill_ms;
  row.error = cut.error;
  const int64_t n_heads = config.n_layers * config.n_kv_heads;
  row.kv_bytes_full = model_.kv_bytes(row.context_tokens);
  if (cut.cache == nullptr) return row;
  int64_t kept = 0;
  for (const auto count : cut.keep_counts) kept += count;
  row.kept_tokens = static_cast<double>(kept) / static_cast<double>(n_heads);
  row.kept_ratio = row.kept_tokens / static_cast<double>(row.context_tokens);
  row.kv_bytes_logical = cut.cache->bytes_logical();
  row.kv_bytes_allocated = cut.cache->bytes_allocated();
  row.score_ms = cut.score_ms;
  row.compact_ms = cut.allocate_ms + cut.compact_ms;
  return row;
}

void ContextRunner::measure_fidelity(const PromptSample& prompt, const FullAnswer& full,
                                     const std::vector<GrowingCache>& caches,
                                     const std::vector<size_t>& cell_of_cache,
                                     std::vector<SampleRow>& rows) const {
  const at::Tensor reference = forced_log_probs(model_, full.cache, prompt.question, full.said);
  // One cache at a time: the logits of all steps are large.
  for (size_t i = 0; i < cell_of_cache.size(); ++i) {
    SampleRow& row = rows[cell_of_cache[i]];
    if (!row.error.empty()) continue;
    const Fidelity measured =
        compare(reference, forced_log_probs(model_, caches[i], prompt.question, full.said));
    row.kl_full = measured.kl;
    row.top1_full = measured.top1;
  }
}

void ContextRunner::grade_answer(const Generation& answer, const std::string& metric,
                                 const Sample& sample, SampleRow& row) const {
  row.generated_tokens = static_cast<int64_t>(answer.tokens.size());
  row.decode_ms = answer.token_ms.empty() ? 0 : answer.token_ms.back();
  row.error = answer.error;
  if (!row.error.empty()) return;
  try {
    row.prediction = format_.tokenizer().decode(answer.tokens, /*skip_special_tokens=*/true);
    row.score = grade(metric, row.prediction, sample.references);
  } catch (const InputError& e) {  // an id that the tokenizer does not have (padded vocabulary)
    row.error = e.what();
  }
}

}  // namespace kvbench
