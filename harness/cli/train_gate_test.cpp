// train-gate as its users meet it: wrong requests, and gates that a sweep then reads.
#include "harness/cli/test_refused.h"
#include "harness/sweep/test_model.h"

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

std::string prose() {
  std::string text;
  for (int i = 0; i < 200; ++i) text += fmt::format("Day {} was colder than the last. ", i);
  return text;
}

class TrainGateRefusedTest : public RefusedTest {
 protected:
  void SetUp() override {
    RefusedTest::SetUp();
    write_bytes(folder / "gates.yaml", kGates);
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
  if (!bad.before.empty()) edit("gates.yaml", bad.before, bad.after);
  const auto names = names_below(folder / "");
  expect_refused(kvbench(folder / "", bad.arguments), bad.expected);
  EXPECT_EQ(names_below(folder / ""), names);
}

const Words kTrain = {"train-gate", "gates.yaml"};

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

}  // namespace
}  // namespace kvbench::test_process
