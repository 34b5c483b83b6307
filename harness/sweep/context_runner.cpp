#include "harness/sweep/context_runner.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <map>

#include "harness/base/error.h"
#include "harness/base/random.h"
#include "harness/config/policy_yaml.h"
#include "harness/engine/fidelity.h"
#include "tasks/grading.h"

namespace kvbench {
namespace {

// The caches that one question goes into. The context must be there again for the next one: a cache
// that is only appended to is rewound, one that is evicted from meanwhile stands in as a copy. One
// that is asked once needs neither.
class Answering {
 public:
  Answering() = default;
  ~Answering() {
    for (auto& growing : caches_) {
      if (growing.eviction == nullptr) growing.cache->rewind();
    }
  }
  Answering(const Answering&) = delete;

  // Throws where there is no memory for a copy; nothing is added then.
  void add(GrowingCache context) {
    if (context.eviction != nullptr && !context.asked_once) {
      context.cache = &copies_.emplace_back(context.cache->clone());
      context.eviction = &evictions_.emplace_back(*context.eviction);
      context.asked_once = true;
    }
    caches_.push_back(context);
  }

  const std::vector<GrowingCache>& caches() const { return caches_; }

 private:
  std::vector<GrowingCache> caches_;
  std::deque<KvCache> copies_;  // their addresses stay when more come
  std::deque<Eviction> evictions_;
};

// `co_await` asks the pool and goes on with the answers. A question that the model refuses is the
// error of every answer.
struct Asking {
  DecodePool& pool;
  std::vector<GrowingCache> caches;
  const std::vector<int32_t>& question;
  GenerateOptions options;
  std::vector<Generation> answers = {};

  bool await_ready() const { return false; }
  bool await_suspend(std::coroutine_handle<> work) {
    try {
      pool.ask(caches, question, options, [this, work](std::vector<Generation> said) {
        answers = std::move(said);
        work.resume();
      });
      return true;
    } catch (const InputError& error) {
      answers.resize(caches.size());
      for (auto& answer : answers) answer.error = error.what();
      return false;
    }
  }
  std::vector<Generation> await_resume() { return std::move(answers); }
};

std::vector<PolicyAtRatio> at_ratios(const std::vector<const SweepCell*>& cells) {
  std::vector<PolicyAtRatio> policies;
  for (const auto* cell : cells) policies.push_back({cell->policy, cell->ratio});
  return policies;
}

// The tokens that the answers to any of the questions are made of.
std::vector<int64_t> needles_of(const std::vector<const PromptSample*>& questions) {
  std::vector<TokenSpan> spans;
  for (const PromptSample* question : questions) {
    spans.insert(spans.end(), question->needles.begin(), question->needles.end());
  }
  return tokens_of(spans);
}

// Whether an error is that of LibTorch, CUDA or the standard library where memory is full.
bool is_full_memory(const std::string& error) {
  constexpr std::array kSaid = {"out of memory", "can't allocate memory", "not enough memory",
                                "std::bad_alloc", "ALLOC_FAILED"};
  return std::any_of(kSaid.begin(), kSaid.end(),
                     [&](const char* said) { return error.find(said) != std::string::npos; });
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
                             BesideAnswers also, Workplace shared, Advance on_rows)
    : model_(model),
      format_(format),
      store_(store),
      also_(also),
      shared_(shared),
      on_rows_(std::move(on_rows)),
      full_(parse_policy_text("{name: full, full: true}")) {}

Work ContextRunner::run(const SampleGroup& group, const std::vector<SweepCell>& cells,
                        std::vector<int64_t> members) {
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
      fail(group, cells, id, current_error());
    }
  }
  const auto contexts = by_context(prompts);
  for (const auto& questions : contexts) co_await run_context(group, cells, questions);
}

void ContextRunner::fail(const SampleGroup& group, const std::vector<SweepCell>& cells,
                         int64_t sample_id, const std::string& error) {
  for (const SweepCell& cell : cells) {
    if (store_.is_done({cell.row.cell_id, sample_id})) continue;
    SampleRow row;
    row.cell_id = cell.row.cell_id;
    row.sample_id = sample_id;
    row.error = error;
    store_.append(row, {});
    if (on_rows_) on_rows_(1, group.request.name);
  }
}

int64_t ContextRunner::bytes_of(const SweepCell& cell,
                                const std::vector<const PromptSample*>& questions) const {
  int64_t longest = 0;
  for (const PromptSample* prompt : questions) {
    longest =
        std::max(longest, std::ssize(prompt->prompt.question) + prompt->sample.max_new_tokens);
  }
  const auto n_context = std::ssize(questions.front()->prompt.context);
  const int64_t bytes =
      model_.kv_bytes(n_context, cell.most_kept(n_context)) + model_.kv_bytes(longest, longest);
  // A copy stands in for one that is evicted from and asked again.
  const bool is_copied = cell.policy->decode() && (questions.size() > 1 || also_.any());
  return is_copied ? 2 * bytes : bytes;
}

int64_t ContextRunner::bytes_beside(const std::vector<const SweepCell*>& cells,
                                    int64_t n_tokens) const {
  const bool any_oracle = std::any_of(cells.begin(), cells.end(), [](const SweepCell* cell) {
    return cell->policy->needs_answer();
  });
  // A scorer's own pass has a whole cache, and what it reads behind that.
  int64_t read_again = 0;
  for (const SweepCell* cell : cells) {
    if (!cell->policy->reconstructs()) continue;
    read_again = std::max(read_again, n_tokens + cell->policy->about_read_again(n_tokens));
  }
  // Oracles and allocators that span layers keep what the prefill read.
  return model_.kv_bytes(n_tokens) *
             (1 + (any_oracle ? 1 : 0) + (also_.any() || any_oracle ? 1 : 0)) +
         model_.kv_bytes(read_again);
}

Work ContextRunner::run_context(const SampleGroup& group, const std::vector<SweepCell>& cells,
                                const std::vector<const PromptSample*>& questions) {
  const auto n_tokens = std::ssize(questions.front()->prompt.context);
  std::vector<const SweepCell*> wave;
  int64_t bytes = 0;
  for (size_t i = 0; i <= cells.size(); ++i) {
    const SweepCell* cell = i < cells.size() ? &cells[i] : nullptr;
    const bool takes_part = cell != nullptr && any_open(*cell, questions);
    const int64_t more = takes_part ? bytes_of(*cell, questions) : 0;
    const int64_t beside = bytes_beside(wave, n_tokens);
    const bool is_whole = cell == nullptr || bytes + more + beside > shared_.space.bytes();
    if (is_whole && !wave.empty()) {
      const CacheSpace::Share share = co_await shared_.space.take(bytes + beside);
      co_await run_wave(group, wave, questions, Try::kFirst);
      std::erase_if(wave, [&](const SweepCell* done) { return !any_open(*done, questions); });
      const auto middle = wave.begin() + std::ssize(wave) / 2;
      const std::vector first(wave.begin(), middle), second(middle, wave.end());
      if (!first.empty()) co_await run_wave(group, first, questions, Try::kLast);
      if (!second.empty()) co_await run_wave(group, second, questions, Try::kLast);
      wave.clear();
      bytes = 0;
    }
    if (takes_part) wave.push_back(cell);
    bytes += more;
  }
}

Work ContextRunner::run_wave(const SampleGroup& group, const std::vector<const SweepCell*>& cells,
                             const std::vector<const PromptSample*>& questions, Try which) {
  std::vector<const SweepCell*> before_answer, after_answer;
  for (const SweepCell* cell : cells) {
    (cell->policy->needs_answer() ? after_answer : before_answer).push_back(cell);
  }
  const PromptSample& first = *questions.front();
  CompressOptions options;
  options.seed = group.seed(first);
  options.frame = format_.context_frame(group.protocol().prompt);
  options.keep_prefill = !after_answer.empty();
  options.watched = needles_of(questions);
  std::vector<PolicyAtRatio> policies = at_ratios(before_answer);
  const bool wants_full = also_.any() || !after_answer.empty();
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
  for (const PromptSample* prompt : questions) {
    FullAnswer full{full_cache, {}, {}};
    const bool is_last = prompt == questions.back() && !also_.any();
    co_await answer(group, *prompt, cut, options.watched, full, which, is_last);
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
    const auto cut_by_answer = with_rows(open, std::move(seen), first);
    co_await answer(group, *prompt, cut_by_answer, options.watched, full, which, !also_.any());
  }
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

Work ContextRunner::answer(const SampleGroup& group, const PromptSample& prompt,
                           const std::vector<CutCell>& cells, const std::vector<int64_t>& watched,
                           FullAnswer& full, Try which, bool is_last) {
  const Protocol& protocol = group.protocol();
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
  const bool full_answers_too = full.full != nullptr && full.said.empty() && full.error.empty();
  std::vector<Generation> answers;
  {
    Answering answering;
    const auto add = [&](GrowingCache context, bool is_asked_once) {
      context.asked_once = is_asked_once;
      answering.add(context);
      caches.push_back(context);
    };
    for (size_t i = 0; i < rows.size(); ++i) {
      if (!rows[i].error.empty()) continue;
      try {
        const CompressedCache& cut = cell_of_row[i]->cut;
        add(cut.growing(), is_last && &cut != full.full);
      } catch (...) {
        rows[i].error = current_error();
        continue;
      }
      if (&cell_of_row[i]->cut == full.full) full_at = caches.size() - 1;
      row_of_cache.push_back(&rows[i]);
    }
    if (full_answers_too) full.error = full.full->error;
    if (full_answers_too && full.error.empty() && full_at > caches.size()) {
      full_at = caches.size();
      add(full.full->growing(), /*is_asked_once=*/false);  // whole: nothing is copied
    }
    Asking asking{shared_.pool, answering.caches(), prompt.prompt.question,
                  answer_rules(group, prompt)};
    answers = co_await asking;
  }
  for (size_t i = 0; i < row_of_cache.size(); ++i) {
    grade_answer(answers[i], protocol.grading, prompt.sample, *row_of_cache[i]);
  }
  if (full_answers_too && full_at < caches.size()) {
    full.said = answers[full_at].tokens;
    full.error = answers[full_at].error;
  }
  if (also_.likelihood) measure_likelihood(prompt, full, answers, row_of_cache);
  if (also_.fidelity) {
    caches.resize(row_of_cache.size());
    measure_fidelity(prompt, full, caches, row_of_cache);
  }
  const std::string tail = tail_of(prompt.prompt), spans = spans_text(prompt.needles);
  const std::vector<int64_t> needles = tokens_of(prompt.needles);
  int64_t n_stored = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    SampleRow& row = rows[i];
    if (which == Try::kFirst && is_full_memory(row.error)) continue;
    row.sample_hash = prompt.sample_hash;
    row.context_id = prompt.context_id;
    row.sample_id = prompt.sample.id;
    row.max_length = prompt.length;
    row.words = prompt.sample.words;
    row.references = json_list(prompt.sample.references);
    row.classes = prompt.sample.classes.empty() ? "" : json_list(prompt.sample.classes);
    row.cut_tokens = prompt.prompt.n_cut;
    row.question_tokens = static_cast<int64_t>(prompt.prompt.question.size());
    row.prompt_tail = tail;
    row.needle_spans = spans;
    row.needle_kept = share_text(cell_of_row[i]->cut.kept_watched, watched, needles);
    store_.append(row,
                  row.error.empty() ? cell_of_row[i]->cut.keep_counts : std::vector<int32_t>());
    ++n_stored;
  }
  if (on_rows_ && n_stored > 0) on_rows_(n_stored, group.request.name);
}

GenerateOptions ContextRunner::answer_rules(const SampleGroup& group,
                                            const PromptSample& prompt) const {
  const StopRule& stop = group.protocol().stop;
  GenerateOptions options{prompt.sample.max_new_tokens,
                          format_.end_tokens(model_.config(), stop.ends)};
  options.min_new_tokens = stop.first == StopRule::First::kEnds ? 0 : 1;
  options.exclude_early_ends = stop.first == StopRule::First::kExcluded;
  options.sampling = group.request.sampling;
  // Questions of one context have draws of their own; those of all policies are the same.
  constexpr uint64_t kOfASample = 0xaef17502108ef2d9;
  options.seed =
      Random(group.seed(prompt) + kOfASample * static_cast<uint64_t>(prompt.sample.id)).next();
  return options;
}

void ContextRunner::measure_likelihood(const PromptSample& prompt, const FullAnswer& full,
                                       const std::vector<Generation>& answers,
                                       const std::vector<SampleRow*>& rows) const {
  for (size_t i = 0; i < rows.size(); ++i) {
    SampleRow& row = *rows[i];
    if (!row.error.empty()) continue;
    try {
      if (!full.full->error.empty()) throw std::runtime_error(full.full->error);
      row.nll_full =
          mean_nll(model_, full.full->growing(), prompt.prompt.question, answers[i].tokens);
    } catch (...) {
      row.error = "likelihood under the full cache: " + current_error();
      row.score = NAN;
    }
  }
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
  row.kv_bytes_end = answer.kv_bytes;
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

bool ContextRunner::any_open(const SweepCell& cell,
                             const std::vector<const PromptSample*>& questions) const {
  return std::any_of(questions.begin(), questions.end(),
                     [&](const PromptSample* prompt) { return is_open(cell, *prompt); });
}

// Identity, budgets, and bytes as they are right after compression.
SampleRow ContextRunner::compressed_row(const SweepCell& cell, const CompressedCache& cut,
                                        const PromptSample& prompt) const {
  const ModelConfig& config = model_.config();
  SampleRow row;
  row.cell_id = cell.row.cell_id;
  row.context_tokens = static_cast<int64_t>(prompt.prompt.context.size());
  const bool alone = PolicyAtRatio{cell.policy, cell.ratio}.prefills_alone();
  row.path = !alone ? "shared" : cell.policy->chunk() > 0 ? "chunked" : "kept";
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
  row.score_tokens = cut.score_tokens;
  row.compact_ms = cut.allocate_ms + cut.compact_ms;
  return row;
}

}  // namespace kvbench
