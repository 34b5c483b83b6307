// train-gate as its users meet it: wrong requests, and gates that a sweep then reads.
#include "harness/base/hash.h"
#include "harness/cli/test_refused.h"
#include "harness/cli/test_sweep.h"

namespace kvbench::test_process {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGates = R"(name: tiny
model: {path: model}
device: cpu
chat_template: false
contexts: {file: prose.txt, count: 3, length: 60}
held_out: 1
target: keydiff
decode_steps: 3
gate: {width: 4, sinks: 2}
training: {steps: 20, tokens: 40}
output: gates.safetensors
)";

constexpr const char* kAttentionGates = R"(name: tiny_attention
model: {path: model}
device: cpu
chat_template: false
contexts: {file: prose.txt, count: 3, length: 120}
held_out: 1
attention: {width: 4, keep: 0.4, weight: 10}
decode_steps: 4
training: {steps: 40, rate: 0.01}
output: attention.safetensors
)";

std::string prose() {
  std::string text;
  for (int i = 0; i < 200; ++i) text += fmt::format("Day {} was colder than the last. ", i);
  return text;
}

const Words kTrain = {"train-gate", "gates.yaml"};
const Words kTrainAttention = {"train-gate", "attention.yaml"};

class TrainGateRefusedTest : public RefusedTest {
 protected:
  void SetUp() override {
    RefusedTest::SetUp();
    write_bytes(folder / "gates.yaml", kGates);
    write_bytes(folder / "attention.yaml", kAttentionGates);
    write_bytes(folder / "prose.txt", prose());
    write_bytes(folder / "text.safetensors", "no gates at all");
    write_bytes(folder / "profile.yaml",
                "name: p\nmodel: {path: model}\ndevice: cpu\nchat_template: false\n"
                "contexts: {file: prose.txt, count: 1, length: 60}\nscorers: [{scorer: gate}]\n"
                "output: p.h5\n");
  }
};

TEST_P(TrainGateRefusedTest, WithOneLine) {
  const BadInput& bad = GetParam();
  const bool attention = bad.arguments.size() > 1 && bad.arguments[1] == kTrainAttention[1];
  if (!bad.before.empty()) edit(attention ? "attention.yaml" : "gates.yaml", bad.before, bad.after);
  const auto names = names_below(folder / "");
  expect_refused(kvbench(folder / "", bad.arguments), bad.expected);
  EXPECT_EQ(names_below(folder / ""), names);
}

INSTANTIATE_TEST_SUITE_P(
    TrainGate, TrainGateRefusedTest,
    testing::Values(
        BadInput{"Nothing", {"config is required"}, {"train-gate"}},
        BadInput{"UnknownKey", {"did you mean held_out?"}, kTrain, "held_out", "heldout"},
        BadInput{"UnknownTarget",
                 {"gates.yaml:7: unknown scorer \"keydif\"", "did you mean keydiff?"},
                 kTrain,
                 "keydiff",
                 "keydif"},
        BadInput{"AllHeldOut",
                 {"gates.yaml:6: held_out: expected fewer than the 3 contexts, got 3"},
                 kTrain,
                 "held_out: 1",
                 "held_out: 3"},
        BadInput{"NoRate", {"rate: expected more than 0"}, kTrain, "tokens: 40", "rate: 0"},
        BadInput{"ShortContexts",
                 {"context 0: 6 tokens are too few to train gates on"},
                 kTrain,
                 "length: 60",
                 "length: 6"},
        BadInput{"OutputIsNoGates",
                 {"text.safetensors: its header claims"},
                 {"train-gate", "gates.yaml", "--output", "text.safetensors"}},
        BadInput{"OutputIsNoSafetensors",
                 {"expected a name that ends in .safetensors, got gates.pt"},
                 {"train-gate", "gates.yaml", "--output", "gates.pt"}},
        BadInput{"NoWeights", {"model", "safetensors"}, kTrain},
        BadInput{"AttentionAndATarget",
                 {"attention.yaml:8: target: stands beside attention"},
                 kTrainAttention,
                 "decode_steps",
                 "target: keydiff\ndecode_steps"},
        BadInput{"AttentionAndTokens",
                 {"tokens: stands beside attention, which reads a whole context a step"},
                 kTrainAttention,
                 "steps: 40",
                 "steps: 40, tokens: 7"},
        BadInput{"KeepsMoreThanAll",
                 {"keep: expected 0 or more and less than 1, got 1.5"},
                 kTrainAttention,
                 "keep: 0.4",
                 "keep: 1.5"},
        BadInput{"ContextsBelowWhatIsKept",
                 {"context 0: 37 tokens are too few to train gates on, or for attention gates"},
                 kTrainAttention,
                 "length: 120",
                 "length: 37"},
        BadInput{"GateWithoutFile",
                 {"gate: is missing", "train-gate"},
                 {"run", "sweep.yaml", "--set", "policies=[{scorer: gate, allocator: uniform}]"}},
        BadInput{"GateWithoutFileInAProfile", {"gate: is missing"}, {"profile", "profile.yaml"}},
        BadInput{"GateOfNoFile",
                 {"no such file: /", "none.safetensors"},
                 {"run", "sweep.yaml", "--set",
                  "policies=[{scorer: {name: gate, gate: none.safetensors}, allocator: uniform}]"}},
        BadInput{"GateOfAnotherFile",
                 {"tensor layers.0.k_base is missing"},
                 {"run", "sweep.yaml", "--set",
                  "policies=[{scorer: {name: gate, gate: whole/model.safetensors}, allocator: "
                  "uniform}]"}}),
    case_name);

// The same gates twice, for two targets; a model with other layers refuses them.
TEST(TrainGate, MakesGatesThatServe) {
  const test_run::Folder folder;
  test_model::write(folder / "model");
  write_bytes(folder / "prose.txt", prose());
  write_bytes(folder / "gates.yaml", kGates);
  const Outcome trained = kvbench(folder / "", kTrain);
  expect_done(trained);
  EXPECT_NE(trained.out.find("gates of 8 layers, trained on what keydiff("), std::string::npos)
      << trained.out;
  EXPECT_NE(trained.out.find("1 held-out contexts: Spearman "), std::string::npos) << trained.out;
  const std::string gates = read_bytes(folder / "gates.safetensors");
  EXPECT_FALSE(fs::exists(folder / "gates.safetensors.data"));
  expect_done(kvbench(folder / "", {"train-gate", "gates.yaml", "--set", "threads=1"}));
  EXPECT_EQ(read_bytes(folder / "gates.safetensors"), gates);
  expect_done(kvbench(folder / "", {"train-gate", "gates.yaml", "--set", "target=oracle",
                                    "--output", "oracle.safetensors"}));
  EXPECT_NE(read_bytes(folder / "oracle.safetensors"), gates);
  // Another number than 0 to 1 has no probability.
  expect_refused(kvbench(folder / "", {"train-gate", "gates.yaml", "--set", "scale=value", "--set",
                                       "target=knorm"}),
                 {"scale: value needs scores from 0 to 1, knorm gives"});
  EXPECT_FALSE(fs::exists(folder / "gates.safetensors.data"));
  // Whole, in chunks, and going on while decoding.
  const std::string policy = "{scorer: {name: gate, gate: gates.safetensors}, allocator: ";
  for (const char* rest :
       {"{name: global, total: entries}}", "global, decode: {when: overflow}}",
        "{name: threshold, value: 0.6}}", "uniform, prefill: {chunk: 64}, decode: {interval: 5}}",
        "global, decode: {when: seen, interval: 64, budget: 96}}"}) {
    expect_done(kvbench(folder / "", {"check-policy", policy + rest, "--model", "model"}));
  }
  expect_refused(kvbench(folder / "", {"check-policy", policy + "uniform}"}),
                 {"gates of a model with 8 layers of full attention, the model has"});
}

// The number behind the last place where these words stand.
double after(const std::string& text, const std::string& words) {
  const size_t at = text.rfind(words);
  if (at == std::string::npos) ADD_FAILURE() << words << " in " << text;
  return at == std::string::npos ? NAN : std::stod(text.substr(at + words.size()));
}

// Through the model and back: training takes the loss down, and what it says of the gates is what
// the engine says of the file (train_gates() throws otherwise).
TEST(TrainGate, TrainsAttentionGatesThroughTheModel) {
  const test_run::Folder folder;
  test_model::write(folder / "model");
  write_bytes(folder / "prose.txt", prose());
  write_bytes(folder / "attention.yaml", kAttentionGates);
  const Outcome trained = kvbench(folder / "", {"train-gate", "attention.yaml"});
  expect_done(trained);
  EXPECT_NE(
      trained.out.find("gates of 8 layers, trained on what the full cache says of 2 contexts"),
      std::string::npos)
      << trained.out;
  EXPECT_LT(after(trained.out, " to "), after(trained.out, "training took the loss from "))
      << trained.out;
  const double kept = after(trained.out, "with the ");
  EXPECT_GT(kept, 30);
  EXPECT_LT(kept, 100);
  // The same on the same number of threads; less is kept where it may cost less.
  const std::string gates = read_bytes(folder / "attention.safetensors");
  expect_done(kvbench(folder / "", {"train-gate", "attention.yaml"}));
  EXPECT_EQ(read_bytes(folder / "attention.safetensors"), gates);
  const Outcome tighter =
      kvbench(folder / "", {"train-gate", "attention.yaml", "--set", "attention.weight=100",
                            "--output", "t.safetensors"});
  expect_done(tighter);
  EXPECT_LT(after(tighter.out, "with the "), kept);
  const std::string policy = "{scorer: {name: attention_gate, gate: attention.safetensors}, ";
  for (const char* rest :
       {"allocator: {name: threshold, value: 0.5}, protect: {recent: 8}, prefill: "
        "{attend: kept}}",
        "allocator: uniform, prefill: {attend: kept}}", "allocator: global}"}) {
    expect_done(kvbench(folder / "", {"check-policy", policy + rest, "--model", "model"}));
  }
  expect_refused(kvbench(folder / "", {"check-policy", policy + "allocator: uniform}"}),
                 {"gates of a model with 8 layers of full attention, the model has"});
  // Another family of models.
  std::string config = read_bytes(folder / "model/config.json");
  const std::string family = "\"model_type\":\"llama\"";
  config.replace(config.find(family), family.size(), "\"model_type\":\"qwen2\"");
  write_bytes(folder / "model/config.json", config);
  expect_refused(kvbench(folder / "", {"train-gate", "attention.yaml"}),
                 {"attention.yaml: attention: these gates are trained through the model, expected "
                  "model_type llama",
                  "qwen2 has another forward pass"});
}

// The policy in a sweep: at once, gone on with, and in shards the same rows, which say what prefill
// they had; the file knows the gates by their hash.
TEST(TrainGate, AttentionGatesServeASweep) {
  const test_sweep::Folder folder(3);
  const auto here = folder / "";
  write_bytes(folder / "prose.txt", prose());
  write_bytes(folder / "attention.yaml", kAttentionGates);
  expect_done(kvbench(here, {"train-gate", "attention.yaml", "--set", "attention.weight=100",
                             "--output", "a.safetensors"}));
  const Words sweep = {"run", "sweep.yaml", "--set",
                       "policies=[full, {name: ag, scorer: {name: attention_gate, gate: "
                       "a.safetensors}, allocator: {name: threshold, value: 0.5}, prefill: "
                       "{attend: kept}}]"};
  const auto run = [&](const Words& more) {
    Words words = sweep;
    words.insert(words.end(), more.begin(), more.end());
    expect_done(kvbench(here, words));
  };
  run({"--output", "whole.h5"});
  const Results whole = read_results(folder / "whole.h5");
  EXPECT_EQ(whole.rows.size(), 6u);
  int64_t n_kept = 0;
  for (const SampleRow& row : whole.rows) {
    EXPECT_EQ(row.error, "");
    EXPECT_EQ(row.path, row.kept_ratio < 1 ? "kept" : "shared");
    n_kept += row.path == "kept" ? 1 : 0;
  }
  EXPECT_EQ(n_kept, 3);
  EXPECT_NE(whole.info.file_hashes.find("a.safetensors " +
                                        sha256_hex(read_bytes(folder / "a.safetensors"))),
            std::string::npos)
      << whole.info.file_hashes;
  run({"--output", "grown.h5", "--set", "tasks.0.samples=1"});
  run({"--output", "grown.h5"});
  EXPECT_EQ(test_sweep::rows_of(folder / "grown.h5"), test_sweep::rows_of(folder / "whole.h5"));
  run({"--shard", "1/2"});
  run({"--shard", "2/2"});
  expect_done(kvbench(here, {"merge", "m.h5", "out.shard-1-of-2.h5", "out.shard-2-of-2.h5"}));
  EXPECT_EQ(test_sweep::rows_of(folder / "m.h5"), test_sweep::rows_of(folder / "whole.h5"));
}

}  // namespace
}  // namespace kvbench::test_process
