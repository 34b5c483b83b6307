#include "harness/sweep/cost.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>
#include <set>

#include "harness/base/error.h"
#include "harness/engine/compress.h"
#include "harness/engine/generate.h"
#include "harness/engine/stopwatch.h"
#include "harness/results/layout.h"
#include "harness/results/results_file.h"
#include "harness/sweep/latency.h"

namespace kvbench {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

// Of the files as they are, in the type that they lie in once they are loaded.
int64_t weight_bytes(const OpenModel& model) {
  int64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(model.spec.path)) {
    if (entry.path().extension() == ".safetensors") {
      bytes += static_cast<int64_t>(std::filesystem::file_size(entry.path()));
    }
  }
  const ModelConfig& config = model.config;
  if (config.stored_dtype.empty()) return bytes;
  const int64_t stored = config.stored_dtype == "float32" ? 4 : 2;
  const auto loaded = static_cast<int64_t>(c10::elementSize(model.dtype));
  // A CPU's products read numbers of bfloat16 as such (Linear); an embedding of its own is no such.
  if (model.device.is_cpu() && config.stored_dtype == "bfloat16" && model.dtype == at::kFloat) {
    const int64_t embedding = config.tied_embeddings ? 0 : config.vocab_size * config.hidden_size;
    return bytes + embedding * (loaded - stored);
  }
  return bytes / stored * loaded;
}

// What one prefill serves: the cells without those that wait for an answer.
std::vector<PolicyAtRatio> timed_cells(const SweepPlan& plan) {
  std::vector<PolicyAtRatio> cells;
  for (const auto& cell : plan.groups.front().cells) {
    if (!cell.policy->needs_answer()) cells.push_back({cell.policy, cell.ratio});
  }
  return cells;
}

struct Timed {
  double context_ms = 0, question_ms = 0, step_ms = 0;
};

Timed time_context(const Decoder& model, const SweepPlan& plan, int64_t tokens) {
  constexpr int64_t kSteps = 8;
  const std::vector<SampleGroup> groups = plan.sample_groups();
  const LatencyInput input = latency_input(groups, tokens);
  const ContextFrame frame = groups.front().format->context_frame(groups.front().protocol().prompt);
  const Stopwatch watch(model.device(), true);
  const Compressed compressed =
      compress_context(model, input.context, timed_cells(plan), {.frame = frame});
  Timed timed;
  timed.context_ms = watch.ms();
  std::vector<GrowingCache> caches;
  for (const auto& cut : compressed.caches) {
    if (cut.cache != nullptr) caches.push_back(cut.growing());
  }
  if (caches.empty()) return timed;
  const auto answers =
      generate(model, caches, input.question, {.max_new_tokens = kSteps + 1, .look_every = 1});
  const auto& at_ms = answers.front().token_ms;
  if (!answers.front().error.empty()) throw std::runtime_error(answers.front().error);
  timed.question_ms = at_ms.front();
  timed.step_ms = (at_ms.back() - at_ms.front()) / static_cast<double>(kSteps);
  return timed;
}

// Through two measurements; one that falls with the length is noise.
Calibration::Line line(double x1, double y1, double x2, double y2) {
  const double slope = x2 > x1 ? std::max(0.0, (y2 - y1) / (x2 - x1)) : 0;
  return {y2 - slope * x2, slope};
}

}  // namespace

SweepCost cost_of(const SweepPlan& plan, const OpenModel& model) {
  SweepCost cost;
  cost.weight_bytes = weight_bytes(model);
  std::vector<CellRow> rows;
  for (const auto& group : plan.groups) {
    const PromptSample first = group.samples.at(0);
    const auto n_cells = std::ssize(group.cells);
    const auto n_alone =
        std::count_if(group.cells.begin(), group.cells.end(), [](const SweepCell& cell) {
          return PolicyAtRatio{cell.policy, cell.ratio}.prefills_alone();
        });
    std::map<std::string, const Policy*> reconstructing;  // by scorer: its passes serve all cells
    for (const auto& cell : group.cells) {
      if (cell.policy->reconstructs()) reconstructing[cell.policy->scorer()] = cell.policy;
    }
    int64_t longest = 0;
    for (const auto& members : group.contexts) {
      const int64_t tokens = group.samples.about_tokens(members.front());
      longest = std::max(longest, tokens);
      cost.prefill_tokens += tokens * (1 + n_alone);
      std::set<int64_t> passes;  // who reads as much reads the same, and shares it
      for (const auto& [scorer, policy] : reconstructing) {
        passes.insert(policy->about_read_again(tokens));
      }
      cost.prefill_tokens += std::accumulate(passes.begin(), passes.end(), int64_t{0});
    }
    cost.n_contexts += std::ssize(group.contexts);
    const int64_t n_answers = group.n_samples * n_cells;
    cost.n_answers += n_answers;
    cost.question_tokens += n_answers * std::ssize(first.prompt.question);
    cost.answer_tokens += n_answers * first.sample.max_new_tokens;
    cost.longest_context = std::max(cost.longest_context, longest);
    int64_t n_cached = 0;
    for (const auto& cell : group.cells) {
      n_cached += model.config.n_cached(longest, cell.most_kept(longest));
      rows.emplace_back().Cell::operator=(cell.row);
    }
    cost.cache_bytes =
        std::max(cost.cache_bytes, 2 * n_cached * model.config.head_dim *
                                       static_cast<int64_t>(c10::elementSize(model.dtype)));
  }
  const auto row_bytes = Layout::of<SampleRow>(initial_widths(rows)).row_bytes();
  const int64_t counts = model.config.n_budgeted_layers() * model.config.n_kv_heads;
  cost.file_bytes =
      cost.n_answers * (static_cast<int64_t>(row_bytes) +
                        counts * static_cast<int64_t>(sizeof(int32_t) + 2));  // needle_kept
  return cost;
}

std::string cost_text(const SweepCost& cost) {
  return fmt::format(
      "{} contexts, {} answers\n"
      "tokens: about {} to prefill (the longest context: {}), {} of questions, at most {} of "
      "answers\n"
      "memory: about {:.0f} MiB of weights, {:.0f} MiB of caches beside each other\n"
      "results file: about {:.1f} MiB\n",
      cost.n_contexts, cost.n_answers, cost.prefill_tokens, cost.longest_context,
      cost.question_tokens, cost.answer_tokens, static_cast<double>(cost.weight_bytes) / kMiB,
      static_cast<double>(cost.cache_bytes) / kMiB, static_cast<double>(cost.file_bytes) / kMiB);
}

Calibration calibrate(const Decoder& model, const SweepPlan& plan, const SweepCost& cost) {
  constexpr int64_t kShort = 256, kLong = 1024;
  int64_t least = 1;
  for (const auto& cell : plan.groups.front().cells) {
    least = std::max(least, cell.policy->least_tokens());
  }
  Calibration speed;
  speed.short_tokens = std::max(least, std::min(kShort, cost.longest_context / 2));
  speed.long_tokens = std::max(least, std::min(kLong, cost.longest_context));
  time_context(model, plan, speed.short_tokens);  // warm-up
  const Timed brief = time_context(model, plan, speed.short_tokens);
  const Timed longer = time_context(model, plan, speed.long_tokens);
  const auto t1 = static_cast<double>(speed.short_tokens);
  const auto t2 = static_cast<double>(speed.long_tokens);
  // context_ms / T = linear + square * T.
  const auto per_token = line(t1, brief.context_ms / t1, t2, longer.context_ms / t2);
  speed.linear = per_token.base;
  speed.square = per_token.slope;
  speed.question = line(t1, brief.question_ms, t2, longer.question_ms);
  speed.step = line(t1, brief.step_ms, t2, longer.step_ms);
  return speed;
}

std::string calibration_text(const Calibration& speed, const SweepPlan& plan) {
  double contexts_ms = 0, answers_ms = 0;
  for (const auto& group : plan.groups) {
    const auto n_steps = static_cast<double>(group.samples.at(0).sample.max_new_tokens);
    for (const auto& members : group.contexts) {
      const auto tokens = static_cast<double>(group.samples.about_tokens(members.front()));
      const auto n_questions = static_cast<double>(members.size());
      contexts_ms += speed.linear * tokens + speed.square * tokens * tokens;
      answers_ms += n_questions * (speed.question.at(tokens) + n_steps * speed.step.at(tokens));
    }
  }
  constexpr double kHour = 3600e3;
  return fmt::format(
      "time: about {:.3g} hours: {:.3g} to prefill, score and cut, {:.3g} to answer\n"
      "  by contexts of {} and {} tokens and 8 steps of each; assumed: answers as long as they may "
      "be, all cells of a context side by side, no other work on the machine; oracles, fidelity "
      "and latency measurements are not counted\n",
      (contexts_ms + answers_ms) / kHour, contexts_ms / kHour, answers_ms / kHour,
      speed.short_tokens, speed.long_tokens);
}

}  // namespace kvbench
