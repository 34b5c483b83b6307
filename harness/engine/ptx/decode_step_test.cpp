// Decode steps as one CUDA graph: what a stream was given in one step, kernels and LibTorch's
// operators, is given again; the tokens are those of steps that are launched one by one.
#include "harness/engine/decode_step.h"

#include <ATen/ATen.h>
#include <cuda_runtime_api.h>

#include <stdexcept>

#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/ptx/kernel_device.h"
#include "harness/engine/step_graph.h"
#include "harness/engine/tiny_model.h"
#include "kernels/common/host_torch.h"
#include "kernels/ptx/engine.h"

namespace kvbench {
namespace {

using DecodeStepOnKernels = KernelDevice;
using StepGraphTest = KernelDevice;

// Three caches of one context, each cut another way.
struct Sequences {
  std::vector<Policy> policies;
  Compressed compressed;
  std::vector<GrowingCache> growing;

  Sequences() {
    for (const char* text : {"full", "{scorer: keydiff, allocator: ada}", "streaming_llm"}) {
      policies.emplace_back(parse_policy_text(text));
    }
    compressed =
        compress_context(tiny_model(), some_tokens(70),
                         {{&policies[0], 0}, {&policies[1], 0.5}, {&policies[2], 0.8}}, {});
    for (const auto& cut : compressed.caches) growing.push_back(cut.growing());
  }
};

const at::Tensor kFirst = at::tensor({5, 6, 7}, at::kLong);

std::vector<int64_t> run(DecodeStep& step) {
  std::vector<std::string> errors;
  step.run(errors);
  for (const auto& error : errors) EXPECT_EQ(error, "");
  return host_values(step.ids());
}

// The first step warms up, the others are the graph; so it is again once a cache has moved.
TEST_F(DecodeStepOnKernels, AGraphSaysWhatSingleLaunchesSay) {
  constexpr int kSteps = 8, kMoved = 4;
  Sequences alone, graphed;
  std::vector<std::vector<int64_t>> want, got;
  DecodeStep on_cpu(tiny_model(), alone.growing, kFirst);
  for (int i = 0; i < kSteps; ++i) want.push_back(run(on_cpu));

  runs_kernels = true;
  DecodeStep step(tiny_model(), graphed.growing, kFirst);
  std::vector<uint64_t> launches;
  for (int i = 0; i < kSteps; ++i) {
    if (i == kMoved) graphed.growing[1].cache->leave_shared_buffers();
    const uint64_t before = ptx::launches();
    got.push_back(run(step));
    launches.push_back(ptx::launches() - before);
    EXPECT_EQ(step.is_recorded(), i != 0 && i != kMoved) << i;
  }
  EXPECT_EQ(got, want);
  // Where caches move together, a launch a layer for each of them comes before the step.
  std::vector<uint64_t> expected(kSteps, launches[1]);
  for (const int moved : {0, kMoved}) {
    expected[moved] += graphed.growing.size() * tiny_model().config().n_layers;
  }
  EXPECT_EQ(launches, expected);
}

// One that evicts lets the host take part; the graph begins when it is gone.
TEST_F(DecodeStepOnKernels, EvictionsAreLaunchedOneByOne) {
  const Policy evicting(parse_policy_text("{preset: keydiff, decode: {when: overflow}}"));
  const auto said = [&](bool kernels) {
    runs_kernels = kernels;
    const auto caches =
        compress_context(tiny_model(), some_tokens(70), {{&evicting, 0.5}}, {}).caches;
    DecodeStep step(tiny_model(), {caches[0].growing()}, kFirst.narrow(0, 0, 1));
    std::vector<std::vector<int64_t>> ids;
    for (int i = 0; i < 5; ++i) ids.push_back(run(step));
    EXPECT_FALSE(step.is_recorded());
    runs_kernels = false;
    return ids;
  };
  EXPECT_EQ(said(true), said(false));
}

std::string refusal(const std::function<void()>& work) {
  try {
    StepGraph(at::kCPU, work);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST_F(StepGraphTest, RecordsAndRepeats) {
  runs_kernels = true;
  at::Tensor sum = at::zeros({3}, at::kLong);
  const at::Tensor one = at::ones({3}, at::kLong);
  const StepGraph graph(at::kCPU, [&] { sum.add_(one); });
  EXPECT_EQ(host_values(sum), (std::vector<int64_t>{0, 0, 0}));
  for (int i = 0; i < 5; ++i) graph.launch();
  EXPECT_EQ(host_values(sum), (std::vector<int64_t>{5, 5, 5}));
}

// Whatever would not be right when it is repeated is refused, and the stream goes on as before.
TEST_F(StepGraphTest, RefusesWhatCannotBeRepeated) {
  runs_kernels = true;
  at::Tensor sum = at::zeros({3}, at::kLong);
  EXPECT_NE(refusal([&] { cudaStreamSynchronize(kernel_stream); }), "");
  EXPECT_NE(refusal([&] { sum.sum().item<int64_t>(); }), "");
  EXPECT_NE(refusal([&] { sum.clone(); }), "");
  EXPECT_EQ(refusal([&] { throw std::runtime_error("of the step itself"); }), "of the step itself");
  EXPECT_EQ(refusal([&] { sum.zero_(); }), "");
  const CudaStream own = std::exchange(kernel_stream, nullptr);
  EXPECT_NE(refusal([&] { sum.zero_(); }), "");
  kernel_stream = own;
  sum.fill_(4);
  EXPECT_EQ(host_values(sum), (std::vector<int64_t>{4, 4, 4}));
}

// Where the stream cannot record, steps are launched one by one, and that is said.
TEST_F(DecodeStepOnKernels, WithoutAGraphItSaysSo) {
  struct Warnings final : c10::WarningHandler {
    void process(const c10::Warning& warning) override { texts.push_back(warning.msg()); }
    std::vector<std::string> texts;
  } warnings;
  runs_kernels = true;
  Sequences sequences;
  const CudaStream own = std::exchange(kernel_stream, nullptr);
  {
    const c10::WarningUtils::WarningHandlerGuard guard(&warnings);
    DecodeStep step(tiny_model(), sequences.growing, kFirst);
    for (int i = 0; i < 4; ++i) run(step);
    EXPECT_FALSE(step.is_recorded());
  }
  kernel_stream = own;
  ASSERT_EQ(warnings.texts.size(), 1u);
  EXPECT_NE(warnings.texts[0].find("not as one CUDA graph"), std::string::npos);
}

}  // namespace
}  // namespace kvbench
