// The whole way of a context with every operator served by its CUDA kernel: prefill, scores, keep
// counts, selection, compaction, a question and decode steps of a tiny model, on tensors that lie
// in the PTX engine's memory. What is kept and said must be what the CPU's operators make of it.
#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <set>

#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/decode_pool.h"
#include "harness/engine/ptx/kernel_device.h"
#include "harness/engine/test_gates.h"
#include "harness/engine/test_profile.h"
#include "harness/engine/tiny_model.h"
#include "kernels/common/host_torch.h"
#include "kernels/ptx/engine.h"
#include "policies/allocator.h"

namespace kvbench {
namespace {

constexpr int64_t kTokens = 90;

struct Made {
  std::vector<KeptTokens> kept;
  std::vector<int32_t> keep_counts, tokens;
  std::string error;
};

Made run(const Policy& policy, double ratio, bool kernels) {
  runs_kernels = kernels;
  CompressOptions options;
  options.keep_positions = true;
  options.seed = 7;
  options.frame = some_frame();
  at::manual_seed(5);
  options.importance =
      at::rand({tiny_model().config().n_layers, tiny_model().config().n_kv_heads, kTokens})
          .unbind();
  Compressed compressed =
      compress_context(tiny_model(), some_tokens(kTokens), {{&policy, ratio}}, options);
  CompressedCache& cut = compressed.caches[0];
  Made made = {cut.kept, cut.keep_counts, {}, cut.error};
  if (cut.error.empty()) {
    const auto said = generate(tiny_model(), {cut.growing()}, {5, 6, 7}, {6, {}});
    made.tokens = said[0].tokens;
    made.error = said[0].error;
  }
  runs_kernels = false;
  return made;
}

void expect_same(const std::string& text, double ratio) {
  SCOPED_TRACE(text);
  const Policy policy(parse_policy_text(text));
  policy.validate(tiny_model().config().shape());
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

using WholePath = KernelDevice;

TEST_F(WholePath, Full) { expect_same("full", 0); }

TEST_F(WholePath, EveryScorer) {
  const auto gates = write_test_gates("whole_path", tiny_model().config());
  for (const auto& scorer : Registry<Scorer>::instance().names()) {
    for (const double ratio : {0.5, 0.8}) {
      expect_same(fmt::format("{{scorer: {}, allocator: uniform}}", scorer_text(scorer, gates)),
                  ratio);
    }
  }
  std::filesystem::remove_all(gates);
}

TEST_F(WholePath, EveryAllocator) {
  const auto profile = write_test_profile("whole_path", tiny_model().config(), 2, 4);
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

// Those that need no profile or gates of a model.
TEST_F(WholePath, EveryPreset) {
  int n_run = 0;
  for (const auto& name : preset_names()) {
    try {
      Policy(parse_policy_text(name)).validate(tiny_model().config().shape());
    } catch (const InputError&) {
      continue;
    }
    expect_same(name, 0.5);
    ++n_run;
  }
  EXPECT_GT(n_run, 10);
}

// What a device would have to do: our kernels, products, and LibTorch's operators that are no mere
// views or allocations; and how often the host would wait for it.
struct Work {
  uint64_t launches = 0, waits = 0;
};

template <class F>
Work count_work(F&& body) {
  static std::atomic<uint64_t> n_operators, n_reads;
  static const std::set<std::string> kFree = {"aten::view",       "aten::narrow",
                                              "aten::slice",      "aten::select",
                                              "aten::transpose",  "aten::t",
                                              "aten::permute",    "aten::expand",
                                              "aten::as_strided", "aten::unsqueeze",
                                              "aten::squeeze",    "aten::flatten",
                                              "aten::unflatten",  "aten::reshape",
                                              "aten::unbind",     "aten::chunk",
                                              "aten::split",      "aten::empty",
                                              "aten::empty_like", "aten::empty_strided",
                                              "aten::resize_",    "aten::contiguous",
                                              "aten::to",         "aten::is_nonzero",
                                              "aten::item",       "aten::_reshape_alias",
                                              "aten::detach",     "aten::alias",
                                              "aten::lift_fresh", "aten::linear",
                                              "aten::matmul",     "aten::_to_copy",
                                              "aten::clone",      "aten::cat",
                                              "aten::stack",      "aten::arange"};
  n_operators = n_reads = 0;
  const auto handle =
      at::addGlobalCallback(at::RecordFunctionCallback([](const at::RecordFunction& f)
                                                           -> std::unique_ptr<at::ObserverContext> {
                              const std::string name = f.name();
                              if (name == "aten::_local_scalar_dense") ++n_reads;
                              const bool is_product = name == "kvbench::packed_linear";
                              if (is_product || name == "kvbench::packed_rows" ||
                                  (name.starts_with("aten::") && !kFree.contains(name))) {
                                ++n_operators;
                              }
                              return nullptr;
                            }).scopes({at::RecordScope::FUNCTION}));
  const uint64_t launches = ptx::launches(), synchronised = ptx::synchronisations();
  const int64_t waits = n_host_waits();
  runs_kernels = true;
  body();
  runs_kernels = false;
  at::removeCallback(handle);
  return {ptx::launches() - launches + n_operators,
          ptx::synchronisations() - synchronised + n_reads +
              static_cast<uint64_t>(n_host_waits() - waits)};
}

// A step of S sequences: as many launches as of one.
TEST_F(WholePath, LaunchesOfAStepDoNotGrow) {
  const Policy policy(parse_policy_text("{scorer: keydiff, allocator: uniform}"));
  const auto work_of = [&](size_t n_sequences) {
    std::vector<PolicyAtRatio> asked(n_sequences, {&policy, 0.5});
    Compressed compressed = compress_context(tiny_model(), some_tokens(kTokens), asked, {});
    std::vector<GrowingCache> growing;
    for (const auto& cut : compressed.caches) growing.push_back(cut.growing());
    DecodeStep step(tiny_model(), growing,
                    at::full({static_cast<int64_t>(n_sequences)}, 5, at::kLong));
    std::vector<std::string> errors;
    runs_kernels = true;
    step.run(errors);  // takes the memory
    return count_work([&] { step.run(errors); });
  };
  const Work one = work_of(1), five = work_of(5);
  EXPECT_EQ(one.launches, five.launches);
  const auto n_layers = static_cast<uint64_t>(tiny_model().config().n_layers);
  // Tokens, their embeddings, positions, angles, the last norm, the head and its highest logit.
  constexpr uint64_t kAround = 10;
  EXPECT_LE(five.launches, 11 * n_layers + kAround);
  EXPECT_EQ(five.waits, 0u);
  RecordProperty("launches_of_a_step", std::to_string(five.launches));
}

// Tokens are chosen and fed where the keys lie; only to look at them the host waits.
TEST_F(WholePath, AStepWaitsForNothing) {
  const Policy policy(parse_policy_text("{scorer: keydiff, allocator: ada}"));
  const std::vector<PolicyAtRatio> asked(3, {&policy, 0.5});
  const auto answer = [&](int64_t look_every, const std::function<void(DecodePool&)>& steps) {
    const Compressed compressed = compress_context(tiny_model(), some_tokens(kTokens), asked, {});
    std::vector<GrowingCache> caches;
    for (const auto& cut : compressed.caches) caches.push_back(cut.growing());
    std::vector<int32_t> said;
    DecodePool pool(tiny_model());
    GenerateOptions options{12, {}};
    options.look_every = look_every;
    pool.ask(caches, {5, 6, 7}, options,
             [&](const std::vector<Generation>& answers) { said = answers[1].tokens; });
    steps(pool);
    while (pool.is_busy()) pool.step();
    return said;
  };
  const auto want = answer(1, [](DecodePool&) {});
  const auto said = answer(6, [](DecodePool& pool) {
    runs_kernels = true;
    pool.step();  // the first one moves the caches together
    const Work work = count_work([&] {
      for (int i = 0; i < 4; ++i) pool.step();
    });
    EXPECT_EQ(work.waits, 0u);
    const Work look = count_work([&] { pool.step(); });
    EXPECT_EQ(look.waits, 1u);
  });
  EXPECT_EQ(want.size(), 12u);
  EXPECT_EQ(said, want);
}

// The host learns what a context's policies keep at once, however many there are; an allocator that
// spans layers asks for itself.
TEST_F(WholePath, AContextIsWaitedForOnce) {
  std::vector<Policy> policies;
  for (const char* text :
       {"{scorer: keydiff, allocator: uniform}", "{scorer: snapkv, allocator: ada}",
        "{scorer: knorm, allocator: pyramid}", "{scorer: h2o, allocator: ada}",
        "{scorer: expected_attention, allocator: uniform}"}) {
    policies.emplace_back(parse_policy_text(text));
  }
  std::vector<PolicyAtRatio> asked;
  for (const Policy& policy : policies) {
    for (const double ratio : {0.3, 0.8}) asked.push_back({&policy, ratio});
  }
  const Work work =
      count_work([&] { compress_context(tiny_model(), some_tokens(kTokens), asked, {}); });
  EXPECT_LE(work.waits, 5u);
  const Policy global(parse_policy_text("{scorer: keydiff, allocator: global}"));
  asked.push_back({&global, 0.5});
  const Work spanning =
      count_work([&] { compress_context(tiny_model(), some_tokens(kTokens), asked, {}); });
  EXPECT_LE(spanning.waits, work.waits + 1);
}

}  // namespace
}  // namespace kvbench
