// Whole sweeps on a small random model: every block of the YAML, extension, shards.
#include <algorithm>
#include <map>
#include <set>

#include "harness/results/merge.h"
#include "harness/sweep/sweep_fixture.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

// Repeats in turn, one process each: what ends one is that row's error and nothing else's.
TEST_F(SweepTest, EachMeasurementIsAProcessOfItsOwn) {
  const std::string policies =
      "[full, {name: dies, scorer: {name: faulty, fault: kill}, allocator: uniform}, snapkv]";
  const std::string latency =
      "ratios: [0.5]\nlatency: {repeats: 2, warmup: 0, lengths: [200], decode_tokens: 4, "
      "batch: [1, 3]}";
  const Results results = run(config(kFileTask, policies, latency));
  EXPECT_TRUE(results.state.complete);
  for (const SampleRow& row : results.rows) EXPECT_EQ(row.error, "") << row.policy;
  std::vector<std::string> order;
  for (const LatencyRow& row : results.latency) {
    order.push_back(fmt::format("{} {} x{}", row.repeat, row.policy, row.batch));
    if (row.policy == "dies") {
      EXPECT_EQ(row.error, "its process was ended by signal 9");
      continue;
    }
    EXPECT_EQ(row.error, "");
    EXPECT_EQ(row.ratio, row.policy == "full" ? 0 : 0.5);
    EXPECT_GT(row.prefill_ms, 0);
    EXPECT_DOUBLE_EQ(row.ttft_ms, row.prefill_ms + row.score_ms + row.allocate_ms + row.compact_ms +
                                      row.question_ms);
    EXPECT_GT(row.question_ms, 0);
    EXPECT_LE(row.tpot_p50, row.tpot_p90);
    EXPECT_LE(row.tpot_p90, row.tpot_p99);
    EXPECT_NEAR(row.tokens_per_s * row.tpot_ms, 1000.0 * static_cast<double>(row.batch), 1e-6);
    // Keys and values of every token that a step sees: those kept, the question's, its own.
    const int64_t token = row.kv_bytes_full / kMeasured;
    const double kept = static_cast<double>(row.kv_bytes_logical) / static_cast<double>(token);
    const double per_sequence =
        row.cache_bytes / static_cast<double>(token) / static_cast<double>(row.batch);
    EXPECT_EQ(kept, row.policy == "full" ? 200 : 100);
    EXPECT_GT(per_sequence, kept + 2);
    EXPECT_LT(per_sequence, kept + 40);
    EXPECT_NEAR(
        row.floor_ms,
        1000 * (static_cast<double>(row.weight_bytes) + row.cache_bytes) / row.read_bytes_per_s,
        1e-9);
    EXPECT_GT(row.peak_own_bytes, 0);
    EXPECT_LT(row.peak_own_bytes, row.peak_rss_bytes);
    EXPECT_FALSE(row.cpu_joules <= 0);  // nan where nothing tells
    EXPECT_TRUE(std::isnan(row.gpu_joules));
  }
  EXPECT_EQ(order,
            (std::vector<std::string>{"0 full x1", "0 dies x1", "0 snapkv x1", "0 full x3",
                                      "0 dies x3", "0 snapkv x3", "1 full x1", "1 dies x1",
                                      "1 snapkv x1", "1 full x3", "1 dies x3", "1 snapkv x3"}));
}

// Which share of the needle's tokens each head kept stands in the row, and the prompt's end.
TEST_F(SweepTest, RowsSayWhereTheNeedleWas) {
  const Results results = run(config(
      "[{task: ruler/niah_single_1, lengths: [1024], samples: 2, max_new_tokens: 4}]",
      "[full, streaming_llm, snapkv, {preset: keydiff, name: chunked, prefill: {chunk: 64}}]",
      "ratios: [0.5]\ncompress: [context, prompt]"));
  for (const SampleRow& row : results.rows) {
    EXPECT_EQ(row.error, "");
    EXPECT_TRUE(row.needle_spans.starts_with("[[")) << row.needle_spans;
    EXPECT_NE(row.prompt_tail.find("mentioned in the provided text"), std::string::npos)
        << row.prompt_tail;
    constexpr size_t kHeads = test_model::kLayers * test_model::kHeads;
    EXPECT_EQ(row.needle_kept.size(), row.policy == "chunked" ? 0 : 2 * kHeads) << row.policy;
    std::string all, none;
    for (size_t i = 0; i < kHeads; ++i) {
      all += "ff";
      none += "00";
    }
    if (row.policy == "full") {
      EXPECT_EQ(row.needle_kept, all);
    } else if (row.policy == "streaming_llm") {
      // The last half of the context, in every head alike.
      const int64_t begin = std::stoll(row.needle_spans.substr(2));
      const auto half = static_cast<int64_t>(row.context_tokens / 2);
      if (begin > half + 10) {
        EXPECT_EQ(row.needle_kept, all) << begin;
      } else if (begin < half - 60) {
        EXPECT_EQ(row.needle_kept, none) << begin;
      }
    }
  }
}

TEST_F(SweepTest, RatioZeroIsTheFullCache) {
  const Results results =
      run(config(kFileTask, fmt::format("[{}]", kSound), "ratios: [0]\nfidelity: true"));
  std::map<int64_t, std::string> full;
  for (const SampleRow& row : results.rows) {
    if (row.policy == "full") full[row.sample_id] = row.prediction;
  }
  for (const SampleRow& row : results.rows) {
    EXPECT_EQ(row.prediction, full.at(row.sample_id)) << row.policy;
    EXPECT_EQ(row.kept_ratio, 1) << row.policy;
    EXPECT_NEAR(row.kl_full, 0, 1e-6) << row.policy;
  }
}

// Policies that draw while decoding answer the same whatever runs beside them, one row a sample.
TEST_F(SweepTest, DecodeTimeDrawsRepeat) {
  const auto held_at = [](const char* preset) {
    return fmt::format("{{preset: {}, decode: {{when: held, interval: 16, budget: 80}}}}", preset);
  };
  const std::string vase = held_at("vase"), random = held_at("random_pp");
  const std::string task =
      "[{task: ruler/niah_single_1, lengths: [1024], samples: 2, max_new_tokens: 40}]";
  const Results first =
      run(config(task, fmt::format("[{}, {}]", vase, random), "ratios: [0.5, 0.8]"));
  const Results other =
      run(config(task, fmt::format("[full, {}, {}]", random, vase), "ratios: [0.5, 0.8]", "b.h5"));
  ASSERT_EQ(first.rows.size(), 4u);
  const auto answers = [](const Results& results) {
    std::map<std::pair<std::string, int64_t>, std::string> all;
    for (const SampleRow& row : results.rows) {
      EXPECT_EQ(row.error, "");
      if (row.policy != "full") all[{row.policy, row.sample_id}] = row.prediction;
    }
    return all;
  };
  EXPECT_EQ(answers(first), answers(other));
  for (const SampleRow& row : first.rows) {
    EXPECT_TRUE(std::isnan(row.ratio));
    EXPECT_EQ(row.kept_ratio, 1);  // the prefill stays whole
    // Cut when the context, the question and some tokens made a multiple of 16.
    EXPECT_LE(row.attended_most, row.context_tokens + row.question_tokens + 16);
    EXPECT_LT(row.attended_mean, static_cast<double>(row.attended_most));
  }
}

// Drawn answers differ between rollouts and repeat from run to run; more rollouts leave those that
// are there.
TEST_F(SweepTest, RolloutsRepeat) {
  const auto task = [](int rollouts) {
    return fmt::format(
        "[{{task: ruler/niah_single_1, lengths: [1024], samples: 2, max_new_tokens: 12, "
        "temperature: 1, top_p: 0.9, rollouts: {}}}]",
        rollouts);
  };
  const std::string more = "ratios: [0.5]\nlikelihood: true";
  run(config(task(2), "[full, random]", more));
  const Results extended = run(config(task(3), "[full, random]", more));
  const Results whole = run(config(task(3), "[random, full]", more, "whole.h5"));
  ASSERT_EQ(extended.rows.size(), 12u);
  const auto sorted = [](const Results& results) {
    std::vector<std::string> texts = texts_of(results);
    std::sort(texts.begin(), texts.end());
    return texts;
  };
  EXPECT_EQ(sorted(extended), sorted(whole));
  std::set<std::string> answers;
  for (const SampleRow& row : extended.rows) {
    EXPECT_EQ(row.error, "");
    EXPECT_EQ(row.protocol, "official, temperature 1, top_p 0.9");
    EXPECT_GT(row.nll_full, 0);
    answers.insert(row.prediction);
  }
  EXPECT_EQ(answers.size(), 12u);
}

TEST_F(SweepTest, ExtendedStepByStepEqualsTheWholeAtOnce) {
  const auto tasks = [](int samples, const char* lengths) {
    return fmt::format(
        "[{{task: ruler/niah_single_1, lengths: {}, samples: {}, max_new_tokens: 4}}]", lengths,
        samples);
  };
  run(config(tasks(2, "[1024]"), "[full, snapkv]", "ratios: [0.5]"));
  run(config(tasks(4, "[1024]"), "[full, snapkv]", "ratios: [0.5]"));
  run(config(tasks(4, "[1024]"), "[full, random, snapkv]", "ratios: [0.5]"));
  run(config(tasks(4, "[1024]"), "[full, random, snapkv]", "ratios: [0.5, 0.8]"));
  run(config(tasks(4, "[1024, 1536]"), "[full, random, snapkv]", "ratios: [0.5, 0.8]"));
  const std::string latency = "latency: {repeats: 1, warmup: 0, lengths: [100], decode_tokens: 2}";
  run(config(tasks(4, "[1024, 1536]"), "[full, random, snapkv]", "ratios: [0.5, 0.8]\n" + latency));
  const std::string all = "ratios: [0.8, 0.5]\nfidelity: true\n" + latency;
  const Results extended = run(config(tasks(4, "[1024, 1536]"), "[snapkv, full, random]", all));
  const Results whole =
      run(config(tasks(4, "[1024, 1536]"), "[snapkv, full, random]", all, "whole.h5"));
  EXPECT_TRUE(extended.state.complete);
  EXPECT_EQ(texts_of(extended), texts_of(whole));
  EXPECT_EQ(extended.rows.size(), 4u * 2 * 5);
  EXPECT_EQ(extended.latency.size(), whole.latency.size());
  ASSERT_EQ(extended.cells.size(), whole.cells.size());
  for (size_t i = 0; i < whole.cells.size(); ++i) {
    EXPECT_EQ(extended.cells[i].cell_id, whole.cells[i].cell_id);
    EXPECT_EQ(extended.cells[i].mean, whole.cells[i].mean);
  }
}

// Everything that is split on a configuration with every block, files whose samples share contexts,
// and policies that fail.
TEST_F(SweepTest, MergedShardsEqualTheWholeRun) {
  const std::string policies =
      "[full, snapkv, oracle_lukv, {name: f, scorer: {name: faulty, layer: 6}, allocator: "
      "uniform}]";
  const SweepConfig sweep = config(kManyTasks, policies, kEveryBlock);
  const Results whole = run(sweep);
  std::vector<fs::path> files;
  size_t n_rows = 0;
  std::set<std::string> seen;  // contexts of a task and mode
  for (const int64_t index : {3, 1, 2}) {
    const SweepResult done = run_sweep(sweep, {.shard = {index, 3}});
    EXPECT_EQ(done.file, folder_ / fmt::format("out.shard-{}-of-3.h5", index));
    const Results shard = read_results(done.file);
    EXPECT_TRUE(shard.state.complete);
    EXPECT_EQ(shard.info.shard, fmt::format("{}/3", index));
    EXPECT_EQ(shard.latency.empty(), index != 1);
    EXPECT_GT(shard.rows.size(), 0u);
    n_rows += shard.rows.size();
    std::set<std::string> here;
    for (const auto& row : shard.rows) {
      if (row.source != "generated") here.insert(row.source + row.compress + row.context_id);
    }
    for (const auto& context : here) EXPECT_TRUE(seen.insert(context).second) << context;
    files.push_back(done.file);
  }
  EXPECT_EQ(n_rows, whole.rows.size());
  const Merged merged = merge_results(folder_ / "merged.h5", files);
  EXPECT_TRUE(merged.complete);
  EXPECT_EQ(merged.n_double, 0);
  EXPECT_GT(merged.n_failed, 0);
  const Results joined = read_results(folder_ / "merged.h5");
  EXPECT_EQ(texts_of(joined), texts_of(whole));
  EXPECT_EQ(joined.info.config, whole.info.config);
  EXPECT_EQ(joined.info.data_hashes, whole.info.data_hashes);
  EXPECT_EQ(joined.latency.size(), whole.latency.size());
  ASSERT_EQ(joined.cells.size(), whole.cells.size());
  for (size_t i = 0; i < whole.cells.size(); ++i) {
    EXPECT_EQ(joined.cells[i].cell_id, whole.cells[i].cell_id);
    EXPECT_EQ(joined.cells[i].n_planned, whole.cells[i].n_planned);
    EXPECT_EQ(joined.cells[i].max_length, whole.cells[i].max_length);
    EXPECT_EQ(joined.cells[i].mean == whole.cells[i].mean, whole.cells[i].n > 0);
  }

  const std::string text = refusal([&] { run_sweep(sweep, {.shard = {1, 11}}); });
  EXPECT_NE(text.find("at most 10 shards"), std::string::npos) << text;
}

// Cells whose caches have no room beside one another wait: same rows, more prefills.
TEST_F(SweepTest, LittleMemoryChangesNothingButTime) {
  const auto sweep = [&](const char* memory, const char* output) {
    return config(kManyTasks, fmt::format("[{}]", kSound),
                  fmt::format("ratios: [0.5, 0.8]\nfidelity: true\nmemory: {}", memory), output);
  };
  const Results wide = run(sweep("1GiB", "wide.h5"));
  ASSERT_TRUE(wide.state.complete);
  for (const SampleRow& row : wide.rows) EXPECT_EQ(row.error, "") << row.policy;
  // 1 KiB: each cell alone; 1 MiB: some of a long context's together.
  for (const char* memory : {"1KiB", "1MiB"}) {
    fs::remove(folder_ / "narrow.h5");
    EXPECT_EQ(texts_of(run(sweep(memory, "narrow.h5"))), texts_of(wide)) << memory;
  }
}

TEST_F(SweepTest, StoppedInOrderGoesOn) {
  const SweepConfig sweep =
      config(kManyTasks, "[full, snapkv]",
             "ratios: [0.5]\nlatency: {repeats: 2, warmup: 0, lengths: [100], decode_tokens: 2}");
  const Results whole = run(
      config(kManyTasks, "[full, snapkv]",
             "ratios: [0.5]\nlatency: {repeats: 2, warmup: 0, lengths: [100], decode_tokens: 2}",
             "whole.h5"));
  // Contexts: two, one of three questions, and two.
  const std::vector<size_t> rows_after = {0, 2, 4, 10, 12, 14};
  for (size_t n = 0; n < rows_after.size(); ++n) {
    size_t asked = 0;
    // One context more each time: those that are there are asked for, too, and cost nothing.
    const SweepResult done = run_sweep(sweep, {.stop = [&] { return asked++ == n; }});
    EXPECT_TRUE(done.stopped);
    const Results so_far = read_results(done.file);
    EXPECT_EQ(so_far.rows.size(), rows_after[n]);
    EXPECT_FALSE(so_far.state.complete);
  }
  // Then two policies in turn, twice, one measurement more each time.
  for (size_t n = 0; n < 4; ++n) {
    EXPECT_EQ(read_results(folder_ / "out.h5").latency.size(), n);
    size_t asked = 0;
    EXPECT_EQ(run_sweep(sweep, {.stop = [&] { return asked++ == 1; }}).stopped, n < 3);
  }
  const Results done = read_results(folder_ / "out.h5");
  EXPECT_TRUE(done.state.complete);
  EXPECT_EQ(done.latency.size(), 4u);
  EXPECT_EQ(texts_of(done), texts_of(whole));
}

TEST_F(SweepTest, MovedAndGrownFilesAreTheSameData) {
  const Results before = run(config(kFileTask, "[full]"));
  fs::rename(folder_ / "two.jsonl", folder_ / "elsewhere.jsonl");
  std::ofstream(folder_ / "elsewhere.jsonl", std::ios::app)
      << test_model::qa_line(context(9), "Why?", "1");
  const Results after =
      run(config("[{task: ruler/qa_1, file: elsewhere.jsonl, max_new_tokens: 6}]", "[full]"));
  ASSERT_EQ(after.rows.size(), 3u);
  EXPECT_EQ(text_of(after.rows[0]), text_of(before.rows[0]));
  EXPECT_EQ(after.rows[2].source, "two.jsonl");  // as it was first named
  EXPECT_EQ(after.cells.size(), 1u);

  write("elsewhere.jsonl", test_model::qa_line(context(1), "Which?", "3") +
                               test_model::qa_line(context(8), "What?", "4"));
  const std::string text = refusal([&] {
    run(config("[{task: ruler/qa_1, file: elsewhere.jsonl, max_new_tokens: 6}]", "[full]"));
  });
  EXPECT_NE(text.find("holds other data: sample 1 of ruler/qa_1 (two.jsonl) has another prompt"),
            std::string::npos)
      << text;
}

TEST_F(SweepTest, TwoFilesOfOneTaskAreTwoSources) {
  const Results results =
      run(config("[{task: ruler/qa_1, file: two.jsonl, max_new_tokens: 6},"
                 " {task: ruler/qa_1, file: three.jsonl, max_new_tokens: 6}]",
                 "[full]"));
  ASSERT_EQ(results.rows.size(), 5u);
  ASSERT_EQ(results.cells.size(), 2u);
  EXPECT_NE(results.cells[0].group_id, results.cells[1].group_id);
  EXPECT_EQ(results.rows[0].source, "two.jsonl");
  EXPECT_EQ(results.rows[4].source, "three.jsonl");
  // Two questions about one context, and the same line twice.
  EXPECT_EQ(results.cells[1].n, 3);
  EXPECT_EQ(results.cells[1].n_contexts, 1);
  EXPECT_EQ(results.rows[2].sample_hash, results.rows[4].sample_hash);
  EXPECT_EQ(results.rows[4].sample_id, 2);
  EXPECT_GT(results.rows[4].max_length, 100);  // the real one
  EXPECT_EQ(results.cells[1].max_length, 0);   // the file names none
}

TEST_F(SweepTest, APolicyWithItsOwnBudgetRunsOnce) {
  const Results results = run(
      config(kFileTask, "[{name: own, scorer: knorm, allocator: {name: uniform, capacity: 64}}]",
             "ratios: [0.5, 0.8]"));
  ASSERT_EQ(results.cells.size(), 1u);
  EXPECT_TRUE(std::isnan(results.cells[0].ratio));
  ASSERT_EQ(results.rows.size(), 2u);
  EXPECT_EQ(results.rows[0].kept_tokens, 64);
}

TEST_F(SweepTest, WhatCanBeRefusedIsRefusedBeforeTheModelLoads) {
  fs::remove(folder_ / "model/model.safetensors");
  test_model::write(folder_ / "model");
  const auto text = [&](const std::string& policies, const std::string& more) {
    return refusal([&] { run(config(kFileTask, policies, "ratios: [0.5]\n" + more)); });
  };
  const auto expect = [](const std::string& got, const std::vector<std::string>& parts) {
    for (const auto& part : parts) EXPECT_NE(got.find(part), std::string::npos) << got;
  };
  expect(text("[full]", "latency: {lengths: [9000]}"), {"latency: length 9000", "4096 positions"});
  expect(text("[snapkv]", "latency: {lengths: [20]}"), {"latency: length 20", "snapkv", "33"});
  expect(text("[{name: wide, scorer: {name: snapkv, window: 3000}, allocator: uniform}]", ""),
         {"policy wide", "3001", "ruler/qa_1", "two.jsonl"});
  expect(text("[snapkv, {preset: snapkv, name: other}]", ""), {"\"other\" is the same policy"});
  EXPECT_FALSE(fs::exists(folder_ / "out.h5"));
  // Putting the length right is no other run.
  run(config(kFileTask, "[full]", "ratios: [0.5]\nlatency: {lengths: [50], repeats: 1}"));
  run(config(kFileTask, "[full]", "ratios: [0.5]\nlatency: {lengths: [60], repeats: 1}"));
}

TEST_F(SweepTest, ADryRunWritesNothing) {
  const SweepConfig deep = config(kFileTask, "[full]", "ratios: [0.5]", "deep/er/out.h5");
  const SweepResult result = run_sweep(deep, {.dry_run = true});
  EXPECT_NE(result.plan.find("full at 0"), std::string::npos) << result.plan;
  EXPECT_FALSE(fs::exists(folder_ / "deep"));
}

// KVzip and KVzip+ ask for the same passes, which are run and counted once.
TEST_F(SweepTest, ADryRunCountsSharedPassesOnce) {
  const auto to_prefill = [&](const char* policies) {
    const std::string plan =
        run_sweep(config(kFileTask, policies, "ratios: [0.5]"), {.dry_run = true}).plan;
    const size_t begin = plan.find("tokens: about");
    return plan.substr(begin, plan.find(" to prefill") - begin);
  };
  constexpr const char* kBoth =
      "[kvzip, {name: plus, scorer: {name: kvzip, normalization: plus}, allocator: ada}]";
  EXPECT_EQ(to_prefill(kBoth), to_prefill("[kvzip]"));
  EXPECT_NE(to_prefill("[full]"), to_prefill("[kvzip]"));
}

// Of scorers that have the context read again; cells of one scorer share its passes.
TEST_F(SweepTest, RowsSayWhatAScorerReadAgain) {
  const char* policies =
      "[full, snapkv, kvzip, echo, "
      "{name: ada, scorer: {name: kvzip, chunk_size: 2048, sinks: 4}, allocator: ada}]";
  const SweepConfig sweep = config(
      kFileTask, policies,
      "ratios: [0.5, 0.8]\nlatency: {repeats: 1, warmup: 0, lengths: [64], decode_tokens: 2}");
  const Results results = run(sweep);
  std::map<std::string, std::set<int64_t>> read;  // of the first sample, by policy
  for (const SampleRow& row : results.rows) {
    EXPECT_EQ(row.error, "") << row.policy;
    if (row.sample_id == 0) read[row.policy].insert(row.score_tokens);
  }
  EXPECT_EQ(read["snapkv"], std::set<int64_t>{0});
  ASSERT_EQ(read["kvzip"].size(), 1u);
  EXPECT_GT(*read["kvzip"].begin(), results.rows[0].context_tokens);
  EXPECT_EQ(read["kvzip"], read["ada"]);
  EXPECT_EQ(read["kvzip"], read["echo"]);  // one chunk is the whole context
  for (const LatencyRow& row : results.latency) {
    EXPECT_EQ(row.error, "") << row.policy;
    const bool reads = row.policy != "full" && row.policy != "snapkv";
    EXPECT_EQ(row.score_tokens > 0, reads) << row.policy;
  }
}

TEST_F(SweepTest, ADryRunTellsWhatItCosts) {
  const SweepConfig sweep =
      config("[{task: ruler/niah_single_1, lengths: [1024], samples: 4, max_new_tokens: 4}]",
             "[full, snapkv, {preset: keydiff, name: chunked, prefill: {chunk: 256}}]");
  const auto expect = [](const std::string& text, const std::vector<std::string>& parts) {
    for (const auto& part : parts) EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  // A token's keys and values take 8 layers x 2 heads x 16 x 2 x 4 bytes; two cells keep half.
  const std::string all = run_sweep(sweep, {.dry_run = true}).plan;
  expect(all, {"4 contexts, 12 answers", "about 8192 to prefill (the longest context: 1024)",
               "at most 48 of answers", "4 MiB of caches"});
  EXPECT_EQ(all.find("hours"), std::string::npos);
  const std::string shard = run_sweep(sweep, {.dry_run = true, .shard = {2, 4}}).plan;
  expect(shard, {"1 contexts, 3 answers", "about 2048 to prefill"});
  // Two scorers read it again, one with a request before it.
  const SweepConfig again =
      config("[{task: ruler/niah_single_1, lengths: [1024], samples: 4, max_new_tokens: 4}]",
             "[full, kvzip, echo, {name: ada, scorer: {name: kvzip, chunk_size: 2048}, "
             "allocator: ada}]");
  expect(run_sweep(again, {.dry_run = true}).plan, {"about 12408 to prefill"});
  const std::string timed = run_sweep(sweep, {.dry_run = true, .calibrate = true}).plan;
  expect(timed, {"time: about ", "contexts of 256 and 1024 tokens"});
  // Its hours are those of the run, within what a busy machine makes of them.
  const double hours = std::stod(timed.substr(timed.find("time: about ") + 12));
  EXPECT_GT(hours, 0);
  EXPECT_LT(hours, 0.1);
  EXPECT_FALSE(fs::exists(folder_ / "out.h5"));
}

}  // namespace
}  // namespace kvbench
