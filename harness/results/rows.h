// The rows of a results file. The columns of each dataset are the fields named here, in this
// order (README.md in results/ documents them).
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>

namespace kvbench {

// One sample of one cell: a row of /samples.
struct SampleRow {
  std::string cell_id, task;
  int64_t max_length = 0;
  std::string policy, scorer, allocator;
  double ratio = 0;      // share of KV entries to remove, [0, 1)
  std::string compress;  // "context" or "prompt"
  int64_t sample_id = 0;
  double score = NAN;                  // 0..100; nan when `error` is not empty
  std::string prediction, references;  // references: a JSON list of texts
  int64_t context_tokens = 0, question_tokens = 0, generated_tokens = 0;
  double kept_tokens = NAN;  // mean per KV head
  double kept_ratio = NAN;   // kept share of the entries that existed
  int64_t kv_bytes_full = 0, kv_bytes_logical = 0, kv_bytes_allocated = 0;
  int64_t kv_bytes_end = 0;               // buffers when the answer was there
  double kl_full = NAN, top1_full = NAN;  // nan where not measured
  std::string error;                      // empty = fine
  std::string path;                       // "shared" prefill or "chunked": one of its own
  double prefill_ms = NAN, score_ms = NAN, compact_ms = NAN, decode_ms = NAN;
};

// What is asked of one cell of the sweep.
struct Cell {
  std::string cell_id, task;
  int64_t max_length = 0;
  std::string policy, scorer, allocator;
  double ratio = 0;
  std::string compress;
  int64_t n_planned = 0;  // samples
};

// One cell and what came out: a row of /cells. Means over the samples without an error.
struct CellRow : Cell {
  int64_t n = 0, n_errors = 0;  // graded samples; failed ones
  double mean = NAN, ci_low = NAN, ci_high = NAN;
  double kept_ratio = NAN;
  double kv_bytes_full = NAN, kv_bytes_logical = NAN, kv_bytes_allocated = NAN;
  double prefill_ms = NAN, score_ms = NAN, compact_ms = NAN, decode_ms = NAN;  // medians
};

// One repeat of an isolated measurement: a row of /latency.
struct LatencyRow {
  std::string cell_id, policy;
  double ratio = 0;
  int64_t context_tokens = 0;
  double prefill_ms = NAN, score_ms = NAN, allocate_ms = NAN, compact_ms = NAN, ttft_ms = NAN;
  double tpot_ms = NAN, tpot_p50 = NAN, tpot_p95 = NAN, tpot_p99 = NAN;
  int64_t decode_tokens = 0, peak_rss_bytes = 0, peak_cuda_bytes = 0;
  int64_t kv_bytes_full = 0, kv_bytes_logical = 0, kv_bytes_allocated = 0;
  int64_t peak_kv_bytes = 0;  // while prefilling: the layer at work in full and the cut ones
};

// Calls visit(column name, field) for each column of `row` in order.
template <class Row, class Visit>
requires std::is_same_v<std::remove_const_t<Row>, SampleRow>
void visit_columns(Row& row, Visit&& visit) {
  visit("cell_id", row.cell_id);
  visit("task", row.task);
  visit("max_length", row.max_length);
  visit("policy", row.policy);
  visit("scorer", row.scorer);
  visit("allocator", row.allocator);
  visit("ratio", row.ratio);
  visit("compress", row.compress);
  visit("sample_id", row.sample_id);
  visit("score", row.score);
  visit("prediction", row.prediction);
  visit("references", row.references);
  visit("context_tokens", row.context_tokens);
  visit("question_tokens", row.question_tokens);
  visit("generated_tokens", row.generated_tokens);
  visit("kept_tokens", row.kept_tokens);
  visit("kept_ratio", row.kept_ratio);
  visit("kv_bytes_full", row.kv_bytes_full);
  visit("kv_bytes_logical", row.kv_bytes_logical);
  visit("kv_bytes_allocated", row.kv_bytes_allocated);
  visit("kv_bytes_end", row.kv_bytes_end);
  visit("kl_full", row.kl_full);
  visit("top1_full", row.top1_full);
  visit("error", row.error);
  visit("path", row.path);
  visit("prefill_ms", row.prefill_ms);
  visit("score_ms", row.score_ms);
  visit("compact_ms", row.compact_ms);
  visit("decode_ms", row.decode_ms);
}

template <class Row, class Visit>
requires std::is_same_v<std::remove_const_t<Row>, CellRow>
void visit_columns(Row& row, Visit&& visit) {
  visit("cell_id", row.cell_id);
  visit("task", row.task);
  visit("max_length", row.max_length);
  visit("policy", row.policy);
  visit("scorer", row.scorer);
  visit("allocator", row.allocator);
  visit("ratio", row.ratio);
  visit("compress", row.compress);
  visit("n_planned", row.n_planned);
  visit("n", row.n);
  visit("n_errors", row.n_errors);
  visit("mean", row.mean);
  visit("ci_low", row.ci_low);
  visit("ci_high", row.ci_high);
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
  visit("policy", row.policy);
  visit("ratio", row.ratio);
  visit("context_tokens", row.context_tokens);
  visit("prefill_ms", row.prefill_ms);
  visit("score_ms", row.score_ms);
  visit("allocate_ms", row.allocate_ms);
  visit("compact_ms", row.compact_ms);
  visit("ttft_ms", row.ttft_ms);
  visit("tpot_ms", row.tpot_ms);
  visit("tpot_p50", row.tpot_p50);
  visit("tpot_p95", row.tpot_p95);
  visit("tpot_p99", row.tpot_p99);
  visit("decode_tokens", row.decode_tokens);
  visit("peak_rss_bytes", row.peak_rss_bytes);
  visit("peak_cuda_bytes", row.peak_cuda_bytes);
  visit("kv_bytes_full", row.kv_bytes_full);
  visit("kv_bytes_logical", row.kv_bytes_logical);
  visit("kv_bytes_allocated", row.kv_bytes_allocated);
  visit("peak_kv_bytes", row.peak_kv_bytes);
}

}  // namespace kvbench
