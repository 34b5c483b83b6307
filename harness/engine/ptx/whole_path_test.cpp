// The whole way of a context with every operator served by its CUDA kernel: prefill, scores, keep
// counts, selection, compaction, a question and decode steps of a tiny model, on tensors that lie
// in the PTX engine's memory. What is kept and said must be what the CPU's operators make of it.
#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/decode.h"
#include "harness/engine/test_profile.h"
#include "harness/engine/tiny_model.h"
#include "kernels/host_torch.h"
#include "kernels/launch_torch.h"
#include "kernels/ptx/engine.h"
#include "policies/allocator.h"

namespace kvbench {
namespace {
bool runs_kernels = false;
}

// Instead of the one that asks for a GPU (kernels/launch_torch.h).
bool served_by_cuda(c10::Device) { return runs_kernels; }

namespace {

constexpr int64_t kTokens = 90;

// LibTorch's CPU tensors in memory that kernels may touch, each with its bounds watched.
class KernelMemory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t n) override {
    void* data = nullptr;
    if (n > 0 && cudaMallocManaged(&data, n, cudaMemAttachGlobal) != cudaSuccess) {
      TORCH_CHECK(false, "no memory for a tensor of ", n, " bytes");
    }
    return {data, data, &release, at::Device(at::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t n) const override {
    default_copy_data(to, from, n);
  }

 private:
  static void release(void* data) { cudaFree(data); }
};

struct Made {
  std::vector<KeptTokens> kept;
  std::vector<int32_t> keep_counts, tokens;
  std::string error;
};

// The model with its weights in the same memory.
const Decoder& model() {
  static const Decoder decoder(
      std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata/llama31", at::kFloat,
      at::kCPU);
  return decoder;
}

Made run(const Policy& policy, double ratio, bool kernels) {
  runs_kernels = kernels;
  CompressOptions options;
  options.keep_positions = true;
  options.seed = 7;
  at::manual_seed(5);
  options.importance =
      at::rand({model().config().n_layers, model().config().n_kv_heads, kTokens}).unbind();
  Compressed compressed =
      compress_context(model(), some_tokens(kTokens), {{&policy, ratio}}, options);
  CompressedCache& cut = compressed.caches[0];
  Made made = {cut.kept, cut.keep_counts, {}, cut.error};
  if (cut.error.empty()) {
    const auto said = generate(model(), {cut.growing()}, {5, 6, 7}, {6, {}});
    made.tokens = said[0].tokens;
    made.error = said[0].error;
  }
  runs_kernels = false;
  return made;
}

void expect_same(const std::string& text, double ratio) {
  SCOPED_TRACE(text);
  const Policy policy(parse_policy_text(text));
  policy.validate(model().config().n_layers, model().config().n_kv_heads);
  const Made want = run(policy, ratio, /*kernels=*/false);
  const uint64_t before = ptx::launches();
  const Made got = run(policy, ratio, /*kernels=*/true);
  EXPECT_GT(ptx::launches(), before);
  EXPECT_EQ(want.error, "");
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(got.keep_counts, want.keep_counts);
  ASSERT_EQ(got.kept.size(), want.kept.size());
  for (size_t l = 0; l < want.kept.size(); ++l) {
    EXPECT_EQ(got.kept[l].positions, want.kept[l].positions) << "layer " << l;
  }
  EXPECT_EQ(got.tokens, want.tokens);
}

class WholePath : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    static KernelMemory memory;
    c10::SetCPUAllocator(&memory, 1);
  }
};

TEST_F(WholePath, Full) { expect_same("full", 0); }

TEST_F(WholePath, EveryScorer) {
  for (const auto& scorer : Registry<Scorer>::instance().names()) {
    for (const double ratio : {0.5, 0.8}) {
      expect_same(fmt::format("{{scorer: {}, allocator: uniform}}", scorer), ratio);
    }
  }
}

TEST_F(WholePath, EveryAllocator) {
  const auto profile = write_test_profile("whole_path", model().config(), 2, 4);
  for (const auto& name : Registry<Allocator>::instance().names()) {
    Params params;
    Registry<Allocator>::instance().find(name).make(params);
    std::string allocator = name;
    for (const auto& parameter : params.described()) {
      if (parameter.key == "profile") {
        allocator = fmt::format("{{name: {}, profile: {}}}", name, profile.string());
      }
    }
    for (const char* scorer : {"keydiff", "snapkv"}) {
      expect_same(fmt::format("{{scorer: {}, allocator: {}, protect: {{sink: 2, recent: 4}}}}",
                              scorer, allocator),
                  0.6);
    }
  }
  std::filesystem::remove(profile);
}

// Those that need no profile of a model.
TEST_F(WholePath, EveryPreset) {
  int n_run = 0;
  for (const auto& name : preset_names()) {
    try {
      Policy(parse_policy_text(name))
          .validate(model().config().n_layers, model().config().n_kv_heads);
    } catch (const InputError&) {
      continue;
    }
    expect_same(name, 0.5);
    ++n_run;
  }
  EXPECT_GT(n_run, 10);
}

}  // namespace
}  // namespace kvbench
