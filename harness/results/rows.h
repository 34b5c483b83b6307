// The rows of a results file. The columns of each dataset are the fields named here, in this
// order (README.md in results/ documents them).
#pragma once

#include <cmath>
#include <compare>
#include <cstdint>
#include <string>
#include <type_traits>

namespace kvbench {

// What is asked of one cell of a sweep: one policy at one ratio over the samples of one source.
struct Cell {
  // Hash of everything that decides the cell's answers: model, prompt rule, task, source of the
  // samples, policy, ratio, compress, dtype, numerics. Not in it: how many samples were asked for,
  // names, paths.
  std::string cell_id;
  std::string group_id;   // the same without policy and ratio: cells that have it answer one prompt
  std::string policy_id;  // hash of the policy alone, whatever its name
  std::string task;
  std::string source;  // "generated", or the file as the configuration first named it
  int64_t seed = 0;
  int64_t max_length = 0;  // tokens: the generator's; the most that a file's samples say; 0 = none
  std::string protocol, metric;
  std::string grading;  // how a prediction becomes a score, JSON (tasks/grading.h)
  std::string policy, scorer, allocator;
  double ratio = 0;  // share of KV entries to remove, [0, 1); nan: the policy has its own budget
  std::string compress;   // "context" or "prompt"
  int64_t n_planned = 0;  // samples
};

// One sample of one cell: a row of /samples. (cell_id, sample_id) is its key.
struct SampleRow {
  std::string cell_id;
  std::string sample_hash;  // of the token ids of context and question
  std::string context_id;   // hash of the context's token ids
  std::string task, source;
  int64_t seed = 0;
  int64_t max_length = 0;  // tokens: the generator's; of a file this sample's own
  std::string protocol, metric;
  std::string policy, scorer, allocator;
  double ratio = 0;
  std::string compress;
  int64_t sample_id = 0;               // number of the sample in its source
  int64_t words = 0;                   // LongBench's `length` of the sample; 0 = it has none
  double score = NAN;                  // 0..100; nan when `error` is not empty
  double exact = NAN;                  // 0 or 100, a strict match; nan where the set has none
  std::string prediction, references;  // references: a JSON list of texts
  std::string classes;                 // a JSON list of the set's class names; "" = it has none
  // Where in /texts the text of a column is that is longer than its column; -1 = it is not.
  int64_t prediction_at = -1, references_at = -1, classes_at = -1, error_at = -1;
  int64_t needle_kept_at = -1;
  int64_t context_tokens = 0, question_tokens = 0, generated_tokens = 0;
  int64_t cut_tokens = 0;    // of the prompt, cut away before the model saw it (PromptRule::cut)
  double kept_tokens = NAN;  // mean per KV head
  double kept_ratio = NAN;   // kept share of the entries that existed
  int64_t kv_bytes_full = 0, kv_bytes_logical = 0, kv_bytes_allocated = 0;
  int64_t kv_bytes_end = 0;    // entries in use when the answer was there
  double attended_mean = NAN;  // entries of a KV head that a pass attended to, mean over all
  int64_t attended_most = 0;   // the largest of them; 0 = no pass
  double kl_full = NAN, top1_full = NAN;  // nan where not measured
  double nll_full = NAN;  // nats a token of what was said, under the full cache; nan likewise
  // The end of what the model read; "" in files that were made before it was kept.
  std::string prompt_tail;
  // Tokens of the context that the answer is made of, "[[begin,end],...]", and of each layer and KV
  // head the share of them that was kept, a byte in hex, ff = all. "" where nobody knows.
  std::string needle_spans, needle_kept;
  std::string error;  // empty = fine
  std::string path;   // "shared" prefill, or one of its own: "chunked", "kept"
  double prefill_ms = NAN, score_ms = NAN, compact_ms = NAN, decode_ms = NAN;
  int64_t score_tokens = 0;  // that the scorer had the model read behind the context, in score_ms
};

// What tells one row of /samples from every other.
struct RowKey {
  std::string cell_id;
  int64_t sample_id = 0;

  auto operator<=>(const RowKey&) const = default;
};
inline RowKey key_of(const SampleRow& row) { return {row.cell_id, row.sample_id}; }

// One sample of a sweep, whichever process makes it: a row of /plan.
struct PlanRow {
  std::string group_id;   // of the cells that it serves
  int64_t sample_id = 0;  // number of the sample in its source
  int64_t shard = 1;      // which shard of the run makes it, from 1; 1 where the run is not split
};

// One cell and what came out: a row of /cells. Means over the samples without an error.
struct CellRow : Cell {
  int64_t n = 0, n_errors = 0;  // graded samples; failed ones
  int64_t n_contexts = 0;       // contexts of the graded samples: what the interval resamples
  double mean = NAN, ci_low = NAN, ci_high = NAN;
  double exact = NAN;  // mean strict match; nan where the set has none
  double kept_ratio = NAN;
  double kv_bytes_full = NAN, kv_bytes_logical = NAN, kv_bytes_allocated = NAN;
  double prefill_ms = NAN, score_ms = NAN, compact_ms = NAN, decode_ms = NAN;  // medians
};

// One repeat of an isolated measurement, a process of its own: a row of /latency.
struct LatencyRow {
  // Hash of model, policy, ratio, context_tokens, decode_tokens and batch.
  std::string cell_id, policy_id, policy;
  double ratio = 0;
  int64_t context_tokens = 0, repeat = 0;
  int64_t batch = 1;  // sequences that decode together
  double prefill_ms = NAN, score_ms = NAN, allocate_ms = NAN, compact_ms = NAN, question_ms = NAN;
  double ttft_ms = NAN;  // the sum of the five
  double tpot_ms = NAN, tpot_p50 = NAN, tpot_p90 = NAN, tpot_p95 = NAN, tpot_p99 = NAN;
  double tokens_per_s = NAN;  // of all sequences
  // What a decode step must read (weights; entries of all sequences, mean over the steps), how fast
  // the threads read memory, and the time that this takes: no step can be faster.
  int64_t weight_bytes = 0;
  double cache_bytes = NAN, read_bytes_per_s = NAN, floor_ms = NAN;
  double cpu_joules = NAN, gpu_joules = NAN;  // a token, of the whole processors; nan: not told
  int64_t decode_tokens = 0;                  // of a sequence: as many steps
  int64_t peak_rss_bytes = 0, peak_own_bytes = 0;  // resident; the same without mapped files
  int64_t peak_cuda_bytes = 0;
  int64_t kv_bytes_full = 0, kv_bytes_logical = 0, kv_bytes_allocated = 0;
  int64_t peak_kv_bytes = 0;  // while prefilling: the layer at work in full and the cut ones
  int64_t score_tokens = 0;   // that the scorer had the model read behind the context, in score_ms
  std::string error;          // empty = fine; what was not measured is nan or 0 then
};

// Calls visit(column name, field) for each column of `row` in order.
template <class Row, class Visit>
requires std::is_same_v<std::remove_const_t<Row>, SampleRow>
void visit_columns(Row& row, Visit&& visit) {
  visit("cell_id", row.cell_id);
  visit("sample_hash", row.sample_hash);
  visit("context_id", row.context_id);
  visit("task", row.task);
  visit("source", row.source);
  visit("seed", row.seed);
  visit("max_length", row.max_length);
  visit("protocol", row.protocol);
  visit("metric", row.metric);
  visit("policy", row.policy);
  visit("scorer", row.scorer);
  visit("allocator", row.allocator);
  visit("ratio", row.ratio);
  visit("compress", row.compress);
  visit("sample_id", row.sample_id);
  visit("words", row.words);
  visit("score", row.score);
  visit("exact", row.exact);
  visit("prediction", row.prediction);
  visit("prediction_at", row.prediction_at);
  visit("references", row.references);
  visit("references_at", row.references_at);
  visit("classes", row.classes);
  visit("classes_at", row.classes_at);
  visit("context_tokens", row.context_tokens);
  visit("question_tokens", row.question_tokens);
  visit("generated_tokens", row.generated_tokens);
  visit("cut_tokens", row.cut_tokens);
  visit("kept_tokens", row.kept_tokens);
  visit("kept_ratio", row.kept_ratio);
  visit("kv_bytes_full", row.kv_bytes_full);
  visit("kv_bytes_logical", row.kv_bytes_logical);
  visit("kv_bytes_allocated", row.kv_bytes_allocated);
  visit("kv_bytes_end", row.kv_bytes_end);
  visit("attended_mean", row.attended_mean);
  visit("attended_most", row.attended_most);
  visit("kl_full", row.kl_full);
  visit("top1_full", row.top1_full);
  visit("nll_full", row.nll_full);
  visit("prompt_tail", row.prompt_tail);
  visit("needle_spans", row.needle_spans);
  visit("needle_kept", row.needle_kept);
  visit("needle_kept_at", row.needle_kept_at);
  visit("error", row.error);
  visit("error_at", row.error_at);
  visit("path", row.path);
  visit("prefill_ms", row.prefill_ms);
  visit("score_ms", row.score_ms);
  visit("compact_ms", row.compact_ms);
  visit("decode_ms", row.decode_ms);
  visit("score_tokens", row.score_tokens);
}

template <class Row, class Visit>
requires std::is_same_v<std::remove_const_t<Row>, PlanRow>
void visit_columns(Row& row, Visit&& visit) {
  visit("group_id", row.group_id);
  visit("sample_id", row.sample_id);
  visit("shard", row.shard);
}

template <class Row, class Visit>
requires std::is_same_v<std::remove_const_t<Row>, CellRow>
void visit_columns(Row& row, Visit&& visit) {
  visit("cell_id", row.cell_id);
  visit("group_id", row.group_id);
  visit("policy_id", row.policy_id);
  visit("task", row.task);
  visit("source", row.source);
  visit("seed", row.seed);
  visit("max_length", row.max_length);
  visit("protocol", row.protocol);
  visit("metric", row.metric);
  visit("grading", row.grading);
  visit("policy", row.policy);
  visit("scorer", row.scorer);
  visit("allocator", row.allocator);
  visit("ratio", row.ratio);
  visit("compress", row.compress);
  visit("n_planned", row.n_planned);
  visit("n", row.n);
  visit("n_errors", row.n_errors);
  visit("n_contexts", row.n_contexts);
  visit("mean", row.mean);
  visit("ci_low", row.ci_low);
  visit("ci_high", row.ci_high);
  visit("exact", row.exact);
  visit("kept_ratio", row.kept_ratio);
  visit("kv_bytes_full", row.kv_bytes_full);
  visit("kv_bytes_logical", row.kv_bytes_logical);
  visit("kv_bytes_allocated", row.kv_bytes_allocated);
  visit("prefill_ms", row.prefill_ms);
  visit("score_ms", row.score_ms);
  visit("compact_ms", row.compact_ms);
  visit("decode_ms", row.decode_ms);
}

template <class Row, class Visit>
requires std::is_same_v<std::remove_const_t<Row>, LatencyRow>
void visit_columns(Row& row, Visit&& visit) {
  visit("cell_id", row.cell_id);
  visit("policy_id", row.policy_id);
  visit("policy", row.policy);
  visit("ratio", row.ratio);
  visit("context_tokens", row.context_tokens);
  visit("repeat", row.repeat);
  visit("batch", row.batch);
  visit("prefill_ms", row.prefill_ms);
  visit("score_ms", row.score_ms);
  visit("allocate_ms", row.allocate_ms);
  visit("compact_ms", row.compact_ms);
  visit("question_ms", row.question_ms);
  visit("ttft_ms", row.ttft_ms);
  visit("tpot_ms", row.tpot_ms);
  visit("tpot_p50", row.tpot_p50);
  visit("tpot_p90", row.tpot_p90);
  visit("tpot_p95", row.tpot_p95);
  visit("tpot_p99", row.tpot_p99);
  visit("tokens_per_s", row.tokens_per_s);
  visit("weight_bytes", row.weight_bytes);
  visit("cache_bytes", row.cache_bytes);
  visit("read_bytes_per_s", row.read_bytes_per_s);
  visit("floor_ms", row.floor_ms);
  visit("cpu_joules", row.cpu_joules);
  visit("gpu_joules", row.gpu_joules);
  visit("decode_tokens", row.decode_tokens);
  visit("peak_rss_bytes", row.peak_rss_bytes);
  visit("peak_own_bytes", row.peak_own_bytes);
  visit("peak_cuda_bytes", row.peak_cuda_bytes);
  visit("kv_bytes_full", row.kv_bytes_full);
  visit("kv_bytes_logical", row.kv_bytes_logical);
  visit("kv_bytes_allocated", row.kv_bytes_allocated);
  visit("peak_kv_bytes", row.peak_kv_bytes);
  visit("score_tokens", row.score_tokens);
  visit("error", row.error);
}

}  // namespace kvbench
