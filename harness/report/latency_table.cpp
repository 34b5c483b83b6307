#include "harness/report/latency_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "harness/report/titles.h"
#include "harness/results/stats.h"

namespace kvbench {
namespace {

// The repeats of one policy at one ratio and context length.
struct Line {
  const LatencyRow* first;
  std::vector<const LatencyRow*> repeats;  // those that did not fail
  int64_t n_errors = 0;
};

struct Bench {
  const RunInfo* run;
  int64_t decode_tokens, batch;
  std::string title;  // what differs from other benches
  std::vector<Line> lines;
};

// "cpu (AMD EPYC), 2 threads"
std::string machine(const RunInfo& run) {
  const std::string& processor = run.gpu_name.empty() ? run.cpu_name : run.gpu_name;
  return fmt::format("{}{}, {} threads", run.device,
                     processor.empty() ? "" : " (" + processor + ")", run.threads);
}

std::vector<Bench> benches_of(const Joined& joined) {
  std::vector<Bench> benches;
  std::map<std::string, size_t> bench_at;
  std::map<std::tuple<size_t, int64_t, std::string, std::string>, size_t> line_at;
  for (const auto& [run_index, row] : joined.latency) {
    const RunInfo& run = joined.runs[run_index];
    const std::string key = fmt::format("{}\n{}\n{}\n{}", identity_text(run), machine(run),
                                        row.decode_tokens, row.batch);
    const auto [at, added] = bench_at.try_emplace(key, benches.size());
    if (added) benches.push_back({&run, row.decode_tokens, row.batch, "", {}});
    Bench& bench = benches[at->second];
    const auto [line, is_new] = line_at.try_emplace(
        {at->second, row.context_tokens, row.policy, ratio_text(row.ratio)}, bench.lines.size());
    if (is_new) bench.lines.push_back({&row, {}});
    if (row.error.empty()) {
      bench.lines[line->second].repeats.push_back(&row);
    } else {
      ++bench.lines[line->second].n_errors;
    }
  }
  std::vector<std::vector<Fact>> facts;
  for (const Bench& bench : benches) {
    facts.push_back(identity_facts(*bench.run));
    facts.back().push_back({"on", machine(*bench.run)});
    facts.back().push_back({"decode steps", fmt::format("{}", bench.decode_tokens)});
    facts.back().push_back({"sequences", fmt::format("{}", bench.batch)});
  }
  const auto differ = differences(facts);
  for (size_t i = 0; i < benches.size(); ++i) {
    benches[i].title = differ[i].empty() ? "" : ", " + differ[i];
  }
  return benches;
}

std::vector<Column> bench_columns() {
  std::vector<Column> columns;
  for (const char* name : {"model", "model_hash", "dtype", "numerics", "device", "cpu_name",
                           "gpu_name", "threads", "decode_tokens", "batch"}) {
    columns.push_back({"", name});
  }
  columns.push_back({"context", "context_tokens", Style::kNumber});
  columns.push_back({"policy", "policy", Style::kText});
  columns.push_back({"ratio", "ratio", Style::kNumber});
  return columns;
}

std::vector<Value> bench_values(const Bench& bench, const Line& line) {
  const RunInfo& run = *bench.run;
  return {run.model,
          run.model_hash,
          run.dtype,
          run.numerics,
          run.device,
          run.cpu_name,
          run.gpu_name,
          run.threads,
          bench.decode_tokens,
          bench.batch,
          line.first->context_tokens,
          line.first->policy,
          line.first->ratio};
}

template <class Field>
double middle(const Line& line, Field field) {
  std::vector<double> values;
  for (const LatencyRow* row : line.repeats) values.push_back(static_cast<double>(row->*field));
  return median(values);
}

// What the process itself had: files made before that was told apart have what was resident.
double peak_bytes(const Line& line) {
  const double own = middle(line, &LatencyRow::peak_own_bytes);
  return (own > 0 ? own : middle(line, &LatencyRow::peak_rss_bytes)) +
         middle(line, &LatencyRow::peak_cuda_bytes);
}

}  // namespace

Table latency_table(const Joined& joined) {
  Table table;
  table.columns = bench_columns();
  const std::vector<Column> columns = {{"n", "n", Style::kNumber},
                                       {"failed", "n_errors", Style::kNumber, true},
                                       {"prefill ms", "prefill_ms", Style::kScore},
                                       {"score ms", "score_ms", Style::kScore},
                                       {"allocate ms", "allocate_ms", Style::kScore},
                                       {"compact ms", "compact_ms", Style::kScore},
                                       {"question ms", "question_ms", Style::kScore},
                                       {"TTFT ms", "ttft_ms", Style::kScore},
                                       {"TPOT ms", "tpot_ms", Style::kFine},
                                       {"p50", "tpot_p50_ms", Style::kFine},
                                       {"p90", "tpot_p90_ms", Style::kFine},
                                       {"", "tpot_p95_ms", Style::kFine},
                                       {"p99", "tpot_p99_ms", Style::kFine},
                                       {"floor ms", "floor_ms", Style::kFine, true},
                                       {"floor / TPOT", "floor_share", Style::kPercent, true},
                                       {"tokens/s", "tokens_per_s", Style::kScore},
                                       {"", "step_bytes"},
                                       {"", "read_bytes_per_s"},
                                       {"CPU J/token", "cpu_joules", Style::kFine, true},
                                       {"GPU J/token", "gpu_joules", Style::kFine, true},
                                       {"KV MiB", "kv_bytes_allocated", Style::kMebibytes},
                                       {"peak MiB", "peak_bytes", Style::kMebibytes}};
  table.columns.insert(table.columns.end(), columns.begin(), columns.end());
  for (const Bench& bench : benches_of(joined)) {
    auto& section = table.sections.emplace_back();
    section.title =
        "Isolated: one policy alone, a process each, medians over repeats; floor: the time to read "
        "a "
        "step's bytes; KV cache and peak memory in MiB" +
        bench.title;
    for (const Line& line : bench.lines) {
      auto& row = section.rows.emplace_back(bench_values(bench, line));
      row.insert(row.end(), {std::ssize(line.repeats), line.n_errors});
      for (const auto field :
           {&LatencyRow::prefill_ms, &LatencyRow::score_ms, &LatencyRow::allocate_ms,
            &LatencyRow::compact_ms, &LatencyRow::question_ms, &LatencyRow::ttft_ms,
            &LatencyRow::tpot_ms, &LatencyRow::tpot_p50, &LatencyRow::tpot_p90,
            &LatencyRow::tpot_p95, &LatencyRow::tpot_p99, &LatencyRow::floor_ms}) {
        row.push_back(middle(line, field));
      }
      row.push_back(middle(line, &LatencyRow::floor_ms) / middle(line, &LatencyRow::tpot_ms));
      row.push_back(middle(line, &LatencyRow::tokens_per_s));
      row.push_back(middle(line, &LatencyRow::weight_bytes) +
                    middle(line, &LatencyRow::cache_bytes));
      row.push_back(middle(line, &LatencyRow::read_bytes_per_s));
      row.push_back(middle(line, &LatencyRow::cpu_joules));
      row.push_back(middle(line, &LatencyRow::gpu_joules));
      row.push_back(middle(line, &LatencyRow::kv_bytes_allocated));
      row.push_back(peak_bytes(line));
    }
  }
  return table;
}

Table memory_table(const Joined& joined) {
  Table table;
  table.columns = bench_columns();
  const std::vector<Column> columns = {{"failed", "n_errors", Style::kNumber, true},
                                       {"full MiB", "kv_bytes_full", Style::kMebibytes},
                                       {"nominal MiB", "kv_bytes_nominal", Style::kMebibytes},
                                       {"logical MiB", "kv_bytes_logical", Style::kMebibytes},
                                       {"allocated MiB", "kv_bytes_allocated", Style::kMebibytes},
                                       {"allocated / nominal", "", Style::kFine},
                                       {"peak MiB", "peak_kv_bytes", Style::kMebibytes},
                                       {"peak / full", "", Style::kFine}};
  table.columns.insert(table.columns.end(), columns.begin(), columns.end());
  for (const Bench& bench : benches_of(joined)) {
    auto& section = table.sections.emplace_back();
    section.title =
        "KV memory, isolated: nominal = (1 - ratio) x full; logical = entries kept; allocated = "
        "buffers held; peak = most alive at once while prefilling" +
        bench.title;
    for (const Line& line : bench.lines) {
      const double full = middle(line, &LatencyRow::kv_bytes_full);
      const double allocated = middle(line, &LatencyRow::kv_bytes_allocated);
      const double peak = middle(line, &LatencyRow::peak_kv_bytes);
      const double nominal = (1 - line.first->ratio) * full;
      auto& row = section.rows.emplace_back(bench_values(bench, line));
      row.insert(row.end(),
                 {line.n_errors, full, nominal, middle(line, &LatencyRow::kv_bytes_logical),
                  allocated, allocated / nominal, peak, peak / full});
    }
  }
  return table;
}

}  // namespace kvbench
