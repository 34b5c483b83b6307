#include "harness/sweep/context_runner.h"

#include <algorithm>
#include <map>

#include "harness/base/error.h"
#include "harness/config/policy_yaml.h"
#include "harness/engine/fidelity.h"
#include "tasks/grading.h"

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
  ~Answering() {
    for (auto& growing : caches_) {
      if (growing.eviction == nullptr) growing.cache->rewind();
    }
  }
  Answering(const Answering&) = delete;

  const std::vector<GrowingCache>& caches() const { return caches_; }

 private:
  std::vector<GrowingCache> caches_;
  std::vector<KvCache> copies_;
  std::vector<Eviction> evictions_;
};

std::vector<PolicyAtRatio> at_ratios(const std::vector<const SweepCell*>& cells) {
  std::vector<PolicyAtRatio> policies;
  for (const auto* cell : cells) policies.push_back({cell->policy, cell->ratio});
  return policies;
}

// Every cache of `n` failed for the reason of the exception being handled.
std::vector<CompressedCache> all_failed(size_t n) {
  std::vector<CompressedCache> caches(n);
  for (auto& cache : caches) cache.error = current_error();
  return caches;
}

}  // namespace

std::vector<std::vector<const PromptSample*>> by_context(const std::vector<PromptSample>& samples) {
  std::vector<std::vector<const PromptSample*>> groups;
  std::map<std::string, size_t> known;
  for (const auto& sample : samples) {
    const auto [it, is_new] = known.try_emplace(sample.context_id, groups.size());
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
                           const std::vector<int64_t>& members) {
  int64_t n_rows = 0;
  std::vector<PromptSample> prompts;
  for (const int64_t i : members) {
    const int64_t id = group.samples->id(i);
    const bool any_open = std::any_of(cells.begin(), cells.end(), [&](const SweepCell& cell) {
      return !store_.is_done({cell.row.cell_id, id});
    });
    if (!any_open) continue;
    try {
      prompts.push_back(group.at(i));
    } catch (...) {
      n_rows += fail(cells, id, current_error());
    }
  }
  for (const auto& questions : by_context(prompts)) n_rows += run_context(group, cells, questions);
  return n_rows;
}

int64_t ContextRunner::fail(const std::vector<SweepCell>& cells, int64_t sample_id,
                            const std::string& error) {
  int64_t n_rows = 0;
  for (const SweepCell& cell : cells) {
    if (store_.is_done({cell.row.cell_id, sample_id})) continue;
    SampleRow row;
    row.cell_id = cell.row.cell_id;
    row.sample_id = sample_id;
    row.error = error;
    store_.append(row, {});
    ++n_rows;
  }
  return n_rows;
}

int64_t ContextRunner::run_context(const SampleGroup& group, const std::vector<SweepCell>& cells,
                                   const std::vector<const PromptSample*>& questions) {
  // A cell takes part when any of its questions is open.
  std::vector<const SweepCell*> before_answer, after_answer;
  for (const auto& cell : cells) {
    const bool any_open =
        std::any_of(questions.begin(), questions.end(),
                    [&](const PromptSample* prompt) { return is_open(cell, *prompt); });
    if (!any_open) continue;
    (cell.policy->needs_answer() ? after_answer : before_answer).push_back(&cell);
  }
  if (before_answer.empty() && after_answer.empty()) return 0;

  const PromptSample& first = *questions.front();
  CompressOptions options;
  options.seed = group.seed(first);
  options.keep_prefill = !after_answer.empty();
  std::vector<PolicyAtRatio> policies = at_ratios(before_answer);
  const bool wants_full = fidelity_ || !after_answer.empty();
  auto full_at = std::find_if(policies.begin(), policies.end(),
                              [](const auto& asked) { return asked.policy->is_full(); });
  const auto full_index = static_cast<size_t>(full_at - policies.begin());
  if (wants_full && full_at == policies.end()) policies.push_back({&full_, 0});
  Compressed compressed;
  try {
    compressed = compress_context(model_, first.prompt.context, policies, options);
  } catch (...) {
    compressed.caches = all_failed(policies.size());
  }
  CompressedCache rider;  // the full cache, where no cell holds it
  if (compressed.caches.size() > before_answer.size()) {
    rider = std::move(compressed.caches.back());
    compressed.caches.pop_back();
  }
  const auto cut = with_rows(before_answer, std::move(compressed.caches), first);
  const CompressedCache* full_cache = !wants_full               ? nullptr
                                      : full_index < cut.size() ? &cut[full_index].cut
                                                                : &rider;

  std::optional<ObservedContext> observed;
  int64_t n_rows = 0;
  for (const PromptSample* prompt : questions) {
    FullAnswer full{full_cache, {}, {}};
    n_rows += answer(*prompt, group.protocol(), cut, full);
    std::vector<const SweepCell*> open;
    for (const auto* cell : after_answer) {
      if (is_open(*cell, *prompt)) open.push_back(cell);
    }
    if (open.empty()) continue;
    std::vector<CompressedCache> seen;
    try {
      CompressOptions with_importance = options;
      with_importance.keep_prefill = false;
      with_importance.importance = importance(*prompt, full, compressed.prefilled, observed);
      seen = compress_prefilled(model_, compressed.prefilled, at_ratios(open), with_importance);
    } catch (...) {
      seen = all_failed(open.size());
    }
    n_rows += answer(*prompt, group.protocol(), with_rows(open, std::move(seen), first), full);
  }
  return n_rows;
}

std::vector<at::Tensor> ContextRunner::importance(const PromptSample& prompt,
                                                  const FullAnswer& full,
                                                  const Prefilled& prefilled,
                                                  std::optional<ObservedContext>& observed) const {
  if (!full.error.empty()) {
    throw std::runtime_error("the full cache, whose answer an oracle reads, failed: " + full.error);
  }
  if (!observed) observed.emplace(model_, prefilled.layers, lukv::OracleNorm::kLayer);
  const auto say_the_same = [&](int64_t step, const at::Tensor&) -> int64_t {
    return full.said[static_cast<size_t>(step)];
  };
  const auto n_steps = static_cast<int64_t>(full.said.size()) - 1;
  return ObservedContext::importance({{&*observed, prompt.prompt.question, say_the_same}},
                                     n_steps)[0]
      .unbind();
}

std::vector<ContextRunner::CutCell> ContextRunner::with_rows(
    const std::vector<const SweepCell*>& cells, std::vector<CompressedCache> caches,
    const PromptSample& prompt) const {
  std::vector<CutCell> cut;
  for (size_t i = 0; i < cells.size(); ++i) {
    SampleRow row = compressed_row(*cells[i], caches[i], prompt);
    cut.push_back({cells[i], std::move(caches[i]), std::move(row)});
  }
  return cut;
}

int64_t ContextRunner::answer(const PromptSample& prompt, const Protocol& protocol,
                              const std::vector<CutCell>& cells, FullAnswer& full) {
  std::vector<SampleRow> rows;
  std::vector<const CutCell*> cell_of_row;
  for (const CutCell& cell : cells) {
    if (!is_open(*cell.cell, prompt)) continue;
    rows.push_back(cell.row);
    cell_of_row.push_back(&cell);
  }
  std::vector<GrowingCache> caches;
  std::vector<SampleRow*> row_of_cache;
  size_t full_at = cells.size() + 1;  // index of the full cache among `caches`
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].error.empty()) continue;
    if (&cell_of_row[i]->cut == full.full) full_at = caches.size();
    caches.push_back(cell_of_row[i]->cut.growing());
    row_of_cache.push_back(&rows[i]);
  }
  const bool full_answers_too = full.full != nullptr && full.said.empty() && full.error.empty();
  if (full_answers_too) full.error = full.full->error;
  if (full_answers_too && full.error.empty() && full_at > caches.size()) {
    full_at = caches.size();
    caches.push_back(full.full->growing());
  }
  std::vector<int64_t> bytes_at_end(caches.size());
  const std::vector<Generation> answers = ask(prompt, protocol.stop, caches, bytes_at_end);
  for (size_t i = 0; i < row_of_cache.size(); ++i) {
    grade_answer(answers[i], protocol.grading, prompt.sample, *row_of_cache[i]);
    row_of_cache[i]->kv_bytes_end = bytes_at_end[i];
  }
  if (full_answers_too && full_at < caches.size()) {
    full.said = answers[full_at].tokens;
    full.error = answers[full_at].error;
  }
  if (fidelity_) {
    caches.resize(row_of_cache.size());
    measure_fidelity(prompt, full, caches, row_of_cache);
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    SampleRow& row = rows[i];
    row.sample_hash = prompt.sample_hash;
    row.context_id = prompt.context_id;
    row.sample_id = prompt.sample.id;
    row.max_length = prompt.length;
    row.words = prompt.sample.words;
    row.references = json_list(prompt.sample.references);
    row.classes = prompt.sample.classes.empty() ? "" : json_list(prompt.sample.classes);
    row.cut_tokens = prompt.prompt.n_cut;
    row.question_tokens = static_cast<int64_t>(prompt.prompt.question.size());
    store_.append(row,
                  row.error.empty() ? cell_of_row[i]->cut.keep_counts : std::vector<int32_t>());
  }
  return static_cast<int64_t>(rows.size());
}

std::vector<Generation> ContextRunner::ask(const PromptSample& prompt, const StopRule& stop,
                                           const std::vector<GrowingCache>& contexts,
                                           std::vector<int64_t>& bytes_at_end) const {
  GenerateOptions options{prompt.sample.max_new_tokens,
                          format_.end_tokens(model_.config(), stop.ends)};
  options.min_new_tokens = stop.first == StopRule::First::kEnds ? 0 : 1;
  options.exclude_early_ends = stop.first == StopRule::First::kExcluded;
  std::vector<Generation> answers;
  {
    const Answering together(contexts);
    answers = generate(model_, together.caches(), prompt.prompt.question, options);
    for (size_t i = 0; i < contexts.size(); ++i) {
      bytes_at_end[i] = together.caches()[i].cache->bytes_allocated();
    }
  }
  for (size_t i = 0; i < contexts.size(); ++i) {
    if (!answers[i].retry_alone) continue;
    const Answering alone({contexts[i]});
    answers[i] = generate(model_, alone.caches(), prompt.prompt.question, options).front();
    bytes_at_end[i] = alone.caches().front().cache->bytes_allocated();
  }
  return answers;
}

void ContextRunner::measure_fidelity(const PromptSample& prompt, const FullAnswer& full,
                                     const std::vector<GrowingCache>& caches,
                                     const std::vector<SampleRow*>& rows) const {
  const auto fail = [](SampleRow& row, const std::string& why) {
    if (!row.error.empty()) return;
    row.error = "fidelity: " + why;
    row.score = NAN;
  };
  at::Tensor reference;
  std::string error = full.error;
  if (error.empty() && !rows.empty()) {
    try {
      reference = forced_log_probs(model_, full.full->growing(), prompt.prompt.question, full.said);
    } catch (...) {
      error = current_error();
    }
  }
  // One cache at a time: the logits of all steps are large.
  for (size_t i = 0; i < rows.size(); ++i) {
    SampleRow& row = *rows[i];
    if (!error.empty()) fail(row, "the full cache failed: " + error);
    if (!row.error.empty()) continue;
    try {
      const Fidelity measured = compare(
          reference, forced_log_probs(model_, caches[i], prompt.prompt.question, full.said));
      row.kl_full = measured.kl;
      row.top1_full = measured.top1;
    } catch (...) {
      fail(row, current_error());
    }
  }
}

void ContextRunner::grade_answer(const Generation& answer, const Grading& grading,
                                 const Sample& sample, SampleRow& row) const {
  row.generated_tokens = static_cast<int64_t>(answer.tokens.size());
  row.decode_ms = answer.token_ms.empty() ? 0 : answer.token_ms.back();
  row.attended_mean = answer.attended.mean();
  row.attended_most = answer.attended.most;
  row.error = answer.error;
  if (!row.error.empty()) return;
  try {
    row.prediction = format_.tokenizer().decode(answer.tokens, /*skip_special_tokens=*/true);
    const Answered answered{row.prediction, sample.references, sample.classes};
    row.score = score_of(grading, answered);
    row.exact = exact_score_of(grading, answered);
  } catch (...) {  // an id that the tokenizer does not have (padded vocabulary)
    row.error = current_error();
  }
}

bool ContextRunner::is_open(const SweepCell& cell, const PromptSample& prompt) const {
  return !store_.is_done(prompt.key(cell.row.cell_id));
}

// Identity, budgets, and bytes as they are right after compression.
SampleRow ContextRunner::compressed_row(const SweepCell& cell, const CompressedCache& cut,
                                        const PromptSample& prompt) const {
  const ModelConfig& config = model_.config();
  SampleRow row;
  row.cell_id = cell.row.cell_id;
  row.context_tokens = static_cast<int64_t>(prompt.prompt.context.size());
  row.path = PolicyAtRatio{cell.policy, cell.ratio}.is_chunked() ? "chunked" : "shared";
  row.prefill_ms = cut.prefill_ms;
  row.error = cut.error;
  const int64_t n_heads = config.n_budgeted_layers() * config.n_kv_heads;
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

}  // namespace kvbench
