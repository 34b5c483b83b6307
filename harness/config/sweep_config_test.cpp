#include "harness/config/sweep_config.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "harness/base/paths.h"
#include "harness/base/test_util.h"
#include "harness/config/policy_yaml.h"

namespace kvbench {
namespace {

// A sweep of one line a setting; `replace` exchanges the line of its own key, or adds one.
std::string sweep_with(const std::string& replace) {
  std::vector<std::string> lines = {
      "name: demo",
      "model: smollm2-135m-instruct",
      "tasks: [{task: ruler/vt, lengths: [512], samples: 2}]",
      "policies: [full, snapkv]",
      "ratios: [0.5]",
  };
  const std::string key = replace.substr(0, replace.find(':') + 1);
  bool found = false;
  for (std::string& line : lines) {
    if (line.starts_with(key)) {
      line = replace;
      found = true;
    }
  }
  if (!found) lines.push_back(replace);
  return fmt::format("{}\n", fmt::join(lines, "\n"));
}

SweepConfig parse(const std::string& text) { return parse_sweep(parse_yaml(text, "a.yaml")); }

std::string error_with(const std::string& replace) {
  return error_of([&] { parse(sweep_with(replace)); });
}

const char kFullSweep[] = R"(# every key of the contract
name: everything
model: {name: smollm2-135m-instruct, dtype: float32}
device: cpu
compress: [context, prompt]
chat_template: false
tasks:
  - {task: ruler/niah_single_1, lengths: [1024, 2048], samples: 20, seed: 7}
  - {task: ruler/vt, file: vt.jsonl}
  - {task: own/contains_any, file: qasper.jsonl, samples: 50, protocol: official, max_new_tokens: 9}
policies:
  - full
  - snapkv
  - {name: my_lukv, scorer: {name: snapkv, window: 32}, allocator: {name: lukv, profile: FILE.h5}}
ratios: [0, 0.5, 0.80]
latency: {repeats: 3, warmup: 0, lengths: [2048], decode_tokens: 16}
fidelity: true
threads: 2
output: out/all.h5
)";

const char kFullResolved[] = R"(name: everything
model: {name: smollm2-135m-instruct, dtype: float32}
device: cpu
compress:
  - context
  - prompt
chat_template: false
tasks:
  - {task: ruler/niah_single_1, lengths: [1024], seed: 7, protocol: official, samples: 20}
  - {task: ruler/niah_single_1, lengths: [2048], seed: 7, protocol: official, samples: 20}
  - {task: ruler/vt, file: vt.jsonl, seed: 42, protocol: official}
  - {task: own/contains_any, file: qasper.jsonl, seed: 42, protocol: official, max_new_tokens: 9, samples: 50}
policies:
  - {name: full, full: true}
  - {name: snapkv, scorer: {name: snapkv, kernel: 7, pooling: max, window: 32}, allocator: {name: uniform}}
  - {name: my_lukv, scorer: {name: snapkv, window: 32}, allocator: {name: lukv, profile: FILE.h5}}
ratios:
  - 0
  - 0.5
  - 0.8
latency: {repeats: 3, warmup: 0, decode_tokens: 16, batch: [1], lengths: [2048]}
fidelity: true
likelihood: false
)";

TEST(Sweep, EveryKey) {
  InTempDir dir;
  InTempDir::write("a.yaml", kFullSweep);
  InTempDir::write("vt.jsonl", "");
  InTempDir::write("qasper.jsonl", "");
  const SweepConfig config = load_sweep("a.yaml", {});
  EXPECT_EQ(config.name, "everything");
  EXPECT_EQ(config.model.dtype, "float32");
  EXPECT_EQ(config.device, "cpu");
  EXPECT_EQ(config.compress, (std::vector<std::string>{"context", "prompt"}));
  EXPECT_EQ(config.chat_template, ChatTemplateUse::kNo);
  ASSERT_EQ(config.tasks.size(), 3u);
  EXPECT_EQ(config.tasks[1].line, 9);
  EXPECT_EQ(config.tasks[2].max_new_tokens, 9);
  const auto requests = config.tasks[0].requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[1].length, 2048);
  EXPECT_EQ(requests[1].samples, 20);
  EXPECT_EQ(requests[1].seed, 7u);
  const std::string here = std::filesystem::current_path().string() + "/";
  EXPECT_EQ(config.tasks[1].requests().at(0).file, here + "vt.jsonl");
  EXPECT_EQ(config.tasks[1].file_as_written, "vt.jsonl");
  EXPECT_EQ(config.policies.size(), 3u);
  EXPECT_EQ(config.policies[2].line, 14);
  EXPECT_EQ(config.ratios, (std::vector<double>{0, 0.5, 0.8}));
  ASSERT_TRUE(config.latency.has_value());
  EXPECT_EQ(config.latency->repeats, 3);
  EXPECT_EQ(config.latency->warmup, 0);
  EXPECT_TRUE(config.fidelity);
  EXPECT_EQ(config.threads, 2);
  EXPECT_EQ(config.output, here + "out/all.h5");
  EXPECT_EQ(config.origin, "a.yaml");
  std::string resolved = kFullResolved;
  for (const char* file : {"vt.jsonl", "qasper.jsonl"}) resolved.insert(resolved.find(file), here);
  EXPECT_EQ(resolved_yaml(config), resolved);
  EXPECT_EQ(resolved_yaml(parse(resolved)), resolved);
}

TEST(Sweep, Defaults) {
  const SweepConfig config = parse(sweep_with("compress: prompt"));
  EXPECT_EQ(config.device, "auto");
  EXPECT_EQ(config.compress, (std::vector<std::string>{"prompt"}));
  EXPECT_EQ(config.chat_template, ChatTemplateUse::kYes);
  EXPECT_FALSE(config.latency.has_value());
  EXPECT_FALSE(config.fidelity);
  EXPECT_EQ(config.threads, 0);
  EXPECT_EQ(config.memory, 0);
  EXPECT_EQ(parse(sweep_with("memory: 1.5MiB")).memory, 3 << 19);
  EXPECT_EQ(config.output, std::filesystem::current_path() / "results/demo.h5");
  EXPECT_EQ(config.tasks[0].seed, 42u);
  EXPECT_EQ(config.tasks[0].protocol, "official");
}

TEST(Sweep, Quickstart) {
  const SweepConfig config = load_sweep(project_root() / "configs" / "quickstart.yaml", {});
  EXPECT_EQ(config.tasks.size(), 3u);
  EXPECT_EQ(config.tasks[2].task, "ruler/niah_multikey_1");
  EXPECT_EQ(config.policies.size(), 6u);
  EXPECT_EQ(config.ratios, (std::vector<double>{0.5, 0.8}));
  EXPECT_EQ(config.output, project_root() / "results/quickstart.h5");
}

TEST(Sweep, IncludeAndSet) {
  InTempDir dir;
  InTempDir::write("base/small.yaml", sweep_with("latency: {lengths: [128]}"));
  InTempDir::write("a.yaml", "include: base/small.yaml\nratios: [0.9]\n");
  const SweepConfig config =
      load_sweep("a.yaml", {"tasks.0.samples=5", "latency.repeats=2", "device=cpu",
                            "policies.1={scorer: {name: snapkv, window: 8}, allocator: uniform}",
                            "policies.1.scorer.window=16"});
  EXPECT_EQ(config.ratios, (std::vector<double>{0.9}));
  EXPECT_EQ(config.tasks[0].samples, 5);
  EXPECT_EQ(config.latency->repeats, 2);
  EXPECT_EQ(config.device, "cpu");
  EXPECT_EQ(config.policies[1].name, "snapkv+uniform");
  EXPECT_EQ(config.policies[1].scorer.params.at(0).text, "16");
  EXPECT_EQ(config.policies[1].scorer.params.at(0).line, 0);

  const auto error = [](const std::string& set) {
    return error_of([&] { load_sweep("a.yaml", {set}); });
  };
  EXPECT_EQ(error("latncy.repeats=2"),
            "--set latncy.repeats=2: unknown key \"latncy\" in the sweep; did you mean latency? "
            "(known: chat_template, compress, device, fidelity, latency, likelihood, memory, "
            "model, name, output, "
            "plugins, policies, ratios, tasks, threads)");
  EXPECT_EQ(error("tasks.0.sample=2"),
            "--set tasks.0.sample=2: unknown key \"sample\" in the task; did you mean samples? "
            "(known: answer_prefix, bos, data, file, folder, lengths, max_length, max_new_tokens, "
            "protocol, rollouts, samples, seed, task, temperature, top_p)");
  EXPECT_EQ(error("ratios=[1]"),
            "--set ratios=[1]: ratios: expected a share removed, 0 <= ratio < 1, got 1");
  InTempDir::write("a.yaml", "include: base/small.yaml\n\nratios: [1.5]\n");
  EXPECT_EQ(error("device=cpu"),
            "a.yaml:3: ratios: expected a share removed, 0 <= ratio < 1, got 1.5");
}

TEST(Sweep, ChatTemplateMayBeLeftToTheFolder) {
  const SweepConfig config = parse(sweep_with({"chat_template: auto"}));
  EXPECT_EQ(config.chat_template, ChatTemplateUse::kAuto);
  EXPECT_NE(resolved_yaml(config).find("\nchat_template: auto\n"), std::string::npos);
}

TEST(Sweep, UnknownNames) {
  EXPECT_EQ(error_with("pluins: [a.so]"),
            "a.yaml:6: unknown key \"pluins\" in the sweep; did you mean plugins? (known: "
            "chat_template, compress, device, fidelity, latency, likelihood, memory, model, name, "
            "output, plugins, "
            "policies, ratios, tasks, threads)");
  EXPECT_EQ(error_with("plugins: a.so"),
            "a.yaml:6: plugins: expected a list of files, got \"a.so\"");
  const std::string misspelt = error_with("model: smollm2-135m-instrct");
  EXPECT_TRUE(
      misspelt.starts_with("a.yaml:2: unknown model \"smollm2-135m-instrct\"; did you mean "
                           "smollm2-135m-instruct or "))
      << misspelt;
  std::vector<std::string> names = task_names();
  for (const auto& group : task_group_names()) names.push_back(group);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(error_with("tasks: [{task: ruler/vtt, lengths: [9], samples: 1}]"),
            fmt::format("a.yaml:3: unknown task \"ruler/vtt\"; did you mean ruler/vt or "
                        "ruler/all or ruler/cwe? (known: {})",
                        fmt::join(names, ", ")));
  EXPECT_EQ(error_with("policies:\n  - full\n  - knor"),
            fmt::format("a.yaml:6: unknown policy \"knor\"; did you mean knorm? (known: {})",
                        fmt::join(preset_names(), ", ")));
  EXPECT_EQ(error_with("device: gpu"),
            "a.yaml:6: device: expected auto, cpu, cuda or cuda:N, got \"gpu\"");
  EXPECT_EQ(error_with("compress: query"),
            "a.yaml:6: unknown compress \"query\" (known: context, prompt)");
  EXPECT_EQ(error_with("tasks: [{task: ruler/vt, lengths: [9], samples: 1, protocol: offical}]"),
            "a.yaml:3: unknown protocol \"offical\"; did you mean official? (known: official)");
}

TEST(Sweep, Missing) {
  EXPECT_EQ(error_of([] { parse("name: x\n"); }), "a.yaml:1: model is missing in the sweep");
  EXPECT_EQ(error_with("tasks: [{lengths: [9]}]"), "a.yaml:3: task is missing in the task");
  EXPECT_EQ(error_with("tasks: [{task: ruler/vt, samples: 3}]"),
            "a.yaml:3: ruler/vt needs lengths (to generate samples) or file (to read them)");
  EXPECT_EQ(error_with("tasks: [{task: ruler/vt, lengths: [9]}]"),
            "a.yaml:3: samples is missing in the task; only a file can be taken whole");
  EXPECT_EQ(error_with("latency: {repeats: 3}"), "a.yaml:6: lengths is missing in latency");
}

TEST(Sweep, WrongTypes) {
  EXPECT_EQ(error_with("name: [a]"), "a.yaml:1: name: expected a text, got a list");
  EXPECT_EQ(error_with("name: a/b"),
            "a.yaml:1: name: expected at most 64 bytes without a slash, got \"a/b\"");
  EXPECT_EQ(error_with("ratios: abc"), "a.yaml:5: ratios: expected a list of numbers, got \"abc\"");
  EXPECT_EQ(error_with("tasks: ruler/vt"),
            "a.yaml:3: tasks: expected a list of tasks, got \"ruler/vt\"");
  EXPECT_EQ(error_with("tasks: [ruler/vt]"),
            "a.yaml:3: the task: expected a map, got \"ruler/vt\"");
  EXPECT_EQ(error_with("policies: full"),
            "a.yaml:4: policies: expected a list of policies, got \"full\"");
  EXPECT_EQ(error_with("chat_template: atuo"),
            "a.yaml:6: unknown chat_template \"atuo\"; did you mean auto? (known: auto, false, "
            "true)");
  EXPECT_EQ(error_with("fidelity: 1"), "a.yaml:6: fidelity: expected true or false, got \"1\"");
  EXPECT_EQ(error_with("latency: {lengths: [9], batch: [2, 2]}"),
            "a.yaml:6: batch: 2 appears twice");
  EXPECT_EQ(error_with("latency: true"), "a.yaml:6: latency: expected a map, got \"true\"");
  EXPECT_EQ(error_with("compress: {a: 1}"),
            "a.yaml:6: compress: expected a list of texts, got a map");
}

TEST(Sweep, ImpossibleValues) {
  const std::string share = ": expected a share removed, 0 <= ratio < 1, got ";
  EXPECT_EQ(error_with("ratios: [1.0]"), "a.yaml:5: ratios" + share + "1.0");
  EXPECT_EQ(error_with("ratios: [0.5,\n  -0.1]"), "a.yaml:6: ratios" + share + "-0.1");
  EXPECT_EQ(error_with("ratios: [nan]"), "a.yaml:5: ratios: expected a number, got \"nan\"");
  EXPECT_EQ(error_with("ratios: [.nan]"), "a.yaml:5: ratios: expected a number, got \".nan\"");
  EXPECT_EQ(error_with("ratios: [0.5, 0.50]"), "a.yaml:5: ratios: 0.50 appears twice");
  EXPECT_EQ(error_with("ratios: []"),
            "a.yaml:5: ratios: expected a list of numbers, got an empty list");
  EXPECT_EQ(error_with("policies: []"),
            "a.yaml:4: policies: expected a list of policies, got an empty list");
  EXPECT_EQ(error_with("policies:\n  - full\n  - {preset: snapkv, name: full}"),
            "a.yaml:6: policies: \"full\" appears twice, first at a.yaml:5; give one another name");
  EXPECT_EQ(error_with("tasks: []"),
            "a.yaml:3: tasks: expected a list of tasks, got an empty list");
  EXPECT_EQ(error_with("compress: [context, context]"),
            "a.yaml:6: compress: context appears twice");
  EXPECT_EQ(error_with("threads: 0"), "a.yaml:6: threads: expected at least 1, got 0");
  for (const char* memory : {"16", "GiB", "1.5.5GiB", "16 GB", "-1GiB", "0GiB", "99999999TiB"}) {
    EXPECT_EQ(error_with(fmt::format("memory: {}", memory)),
              fmt::format("a.yaml:6: memory: expected a number with its unit, like 16GiB or "
                          "500MiB, got \"{}\"",
                          memory));
  }
  EXPECT_EQ(error_with("latency: {lengths: [9], warmup: -1}"),
            "a.yaml:6: warmup: expected at least 0, got -1");
}

TEST(Sweep, ImpossibleTasks) {
  const auto error = [](const std::string& task) {
    return error_with("tasks:\n  - {task: ruler/vt, " + task + "}");
  };
  EXPECT_EQ(error("lengths: [9], samples: 0"), "a.yaml:4: samples: expected at least 1, got 0");
  EXPECT_EQ(error("lengths: [9], samples: -3"), "a.yaml:4: samples: expected at least 1, got -3");
  EXPECT_EQ(error("lengths: [0], samples: 1"), "a.yaml:4: lengths: expected at least 1, got 0");
  EXPECT_EQ(error("lengths: [], samples: 1"),
            "a.yaml:4: lengths: expected a list of integers, got an empty list");
  EXPECT_EQ(error("lengths: [9, 9], samples: 1"), "a.yaml:4: lengths: 9 appears twice");
  EXPECT_EQ(error("lengths: [9], file: a"),
            "a.yaml:4: file: stands beside lengths: samples have one source");
  EXPECT_EQ(error("file: nowhere/a.jsonl"),
            "a.yaml:4: file: no such file: " +
                (std::filesystem::current_path() / "nowhere/a.jsonl").string());
  const std::string sampled = "lengths: [9], samples: 1, ";
  EXPECT_EQ(error(sampled + "temperature: -1"),
            "a.yaml:4: temperature: expected 0 (greedy) to 100, got -1");
  EXPECT_EQ(error(sampled + "temperature: 1, top_p: 0"),
            "a.yaml:4: top_p: expected a share of probability, 0 < top_p <= 1, got 0");
  EXPECT_EQ(error(sampled + "top_p: 0.9"),
            "a.yaml:4: top_p: expected a temperature beside it; without one the answer is greedy");
  EXPECT_EQ(error(sampled + "rollouts: 0"), "a.yaml:4: rollouts: expected at least 1, got 0");
  EXPECT_EQ(error("lengths: [8, 9], samples: 1}\n  - {task: ruler/vt, lengths: [9], samples: 2"),
            "a.yaml:5: tasks: {task: ruler/vt, lengths: [9], seed: 42, protocol: official} appears "
            "twice, first at a.yaml:4");
  EXPECT_EQ(error("lengths: [9], samples: 1}\n  - {task: ruler/vt, lengths: [9], samples: 1, "
                  "seed: 1"),
            "");
}

TEST(Sweep, AGroupIsItsTasks) {
  const SweepConfig config =
      parse(sweep_with("tasks: [{task: ruler/niah, lengths: [512, 1024], samples: 2}]"));
  ASSERT_EQ(config.tasks.size(), 8u);
  EXPECT_EQ(config.tasks[0].task, "ruler/niah_single_1");
  EXPECT_EQ(config.tasks[7].requests().at(1).length, 1024);
  EXPECT_EQ(error_with("tasks: [{task: ruler/niah, file: a.jsonl}]"),
            "a.yaml:3: file: ruler/niah is 8 tasks; a folder holds their files");
  const std::string missing = error_with("tasks: [{task: ruler/niah, folder: nowhere}]");
  EXPECT_TRUE(missing.starts_with("a.yaml:3: ruler/niah_single_1: no such file: ")) << missing;
  EXPECT_TRUE(missing.ends_with("nowhere/niah_single_1/validation.jsonl")) << missing;
  const std::string unknown = error_with("tasks: [{task: ruler/vt, data: ruler-4095}]");
  EXPECT_NE(unknown.find("did you mean ruler-4096"), std::string::npos) << unknown;
}

TEST(Sweep, AnswersMayBeDrawn) {
  const SweepConfig config =
      parse(sweep_with("tasks: [{task: ruler/vt, lengths: [512], samples: 2, temperature: 0.7, "
                       "top_p: 0.95, rollouts: 4}]\nlikelihood: true"));
  EXPECT_TRUE(config.likelihood);
  const TaskRequest request = config.tasks.at(0).requests().at(0);
  EXPECT_EQ(request.sampling, (Sampling{0.7, 0.95}));
  EXPECT_EQ(request.rollouts, 4);
  const std::string resolved = resolved_yaml(config);
  EXPECT_NE(resolved.find("temperature: 0.7, top_p: 0.95, samples: 2, rollouts: 4}"),
            std::string::npos)
      << resolved;
  EXPECT_EQ(resolved_yaml(parse(resolved)), resolved);
}

TEST(Sweep, ATaskMayBeDescribedInAFileOfOnesOwn) {
  const SweepConfig config = load_sweep(project_root() / "configs" / "own_task.yaml");
  ASSERT_EQ(config.tasks.size(), 1u);
  EXPECT_EQ(config.tasks[0].task, "own/own_task_rules");
  const std::string resolved = resolved_yaml(config);
  EXPECT_NE(resolved.find("task: " + (project_root() / "configs/own_task_rules.yaml").string()),
            std::string::npos)
      << resolved;
  EXPECT_EQ(resolved_yaml(parse(resolved)), resolved);
  const std::string missing = error_with("tasks: [{task: nowhere.yaml, file: a.jsonl}]");
  EXPECT_NE(missing.find("nowhere.yaml"), std::string::npos) << missing;
}

TEST(Sweep, ResolvedLeavesOutWhatDoesNotMatter) {
  const std::string plain = resolved_yaml(parse(sweep_with("output: a.h5")));
  EXPECT_EQ(plain, resolved_yaml(parse(sweep_with("output: b.h5"))));
  EXPECT_EQ(plain, resolved_yaml(parse(sweep_with("threads: 3"))));
  EXPECT_EQ(plain, resolved_yaml(parse(sweep_with("memory: 1GiB"))));
  EXPECT_NE(plain, resolved_yaml(parse(sweep_with("fidelity: true"))));
  const SweepConfig hub = parse(sweep_with("model: {hub: no-org/no-model, revision: v1}"));
  EXPECT_NE(resolved_yaml(hub).find("\nmodel: {hub: no-org/no-model, revision: v1}\n"),
            std::string::npos);
  const SweepConfig folder = parse(sweep_with("model: {path: /some/tiny}"));
  EXPECT_NE(resolved_yaml(folder).find("\nmodel: {path: /some/tiny}\n"), std::string::npos);
}

}  // namespace
}  // namespace kvbench
