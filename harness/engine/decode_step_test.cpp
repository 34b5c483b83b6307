// A decode step's memory: taken once. (As a CUDA graph it is tested in ptx/decode_step_test.cpp.)
#include "harness/engine/decode_step.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/tiny_model.h"
#include "kernels/common/host_torch.h"

namespace kvbench {
namespace {

// LibTorch's allocator of host memory, which counts as long as this lives.
class CountingAllocator final : public c10::Allocator {
 public:
  CountingAllocator() : plain_(c10::GetCPUAllocator()) { c10::SetCPUAllocator(this); }
  ~CountingAllocator() override { c10::SetCPUAllocator(plain_); }

  c10::DataPtr allocate(size_t n) override {
    ++n_calls;
    return plain_->allocate(n);
  }
  c10::DeleterFnPtr raw_deleter() const override { return plain_->raw_deleter(); }
  void copy_data(void* to, const void* from, size_t n) const override {
    plain_->copy_data(to, from, n);
  }

  int64_t n_calls = 0;

 private:
  c10::Allocator* plain_;
};

std::vector<CompressedCache> caches_of(const Decoder& model, int64_t n_tokens) {
  static const Policy full(parse_policy_text("full")), keydiff(parse_policy_text("keydiff"));
  return compress_context(model, some_tokens(n_tokens), {{&full, 0}, {&keydiff, 0.6}}, {}).caches;
}

// All that the models' families differ in: norms of heads, biases, sandwich norms, local angles, a
// scaled embedding, tied weights.
template <class F>
void for_each_model(F&& check) {
  for (const char* name : {"llama31", "llama_bias", "qwen2", "qwen3", "gemma3", "mistral_window"}) {
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      SCOPED_TRACE(name);
      check(Decoder(std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata" / name,
                    dtype, at::kCPU));
    }
  }
}

TEST(DecodeStep, TakesNoMemoryFromTheSecondStepOn) {
  for_each_model([](const Decoder& model) {
    const auto caches = caches_of(model, 8);  // some have 32 positions
    DecodeStep step(model, {caches[0].growing(), caches[1].growing()},
                    at::tensor({5, 6}, at::kLong));
    std::vector<std::string> errors;
    step.run(errors);
    const void* logits = step.logits().const_data_ptr();
    const CountingAllocator counting;
    for (int i = 0; i < 20; ++i) step.run(errors);
    EXPECT_EQ(counting.n_calls, 0);
    EXPECT_TRUE(step.is_recorded());
    EXPECT_EQ(step.logits().const_data_ptr(), logits);
  });
}

// The tokens are those of a batch that is fed from outside, whose memory is new in every pass; on
// threads of which some have nothing to do, too.
TEST(DecodeStep, SaysWhatPassesSay) {
  const int before = at::get_num_threads();
  for_each_model([](const Decoder& model) {
    for (const int threads : {1, 2, 5}) {
      at::set_num_threads(threads);
      const auto caches = caches_of(model, 8), again = caches_of(model, 8);
      DecodeStep step(model, {caches[0].growing(), caches[1].growing()},
                      at::tensor({5, 6}, at::kLong));
      DecodeBatch batch({again[0].cache.get(), again[1].cache.get()});
      at::Tensor ids = at::tensor({5, 6}, at::kLong);
      std::vector<std::string> errors;
      for (int i = 0; i < 20; ++i) {
        step.run(errors);
        const at::Tensor logits = model.extend(ids.unsqueeze(1), batch);
        ids = logits.argmax(1);
        EXPECT_TRUE(at::equal(step.logits(), logits)) << i;
        EXPECT_EQ(host_values(step.ids()), host_values(ids)) << i;
      }
    }
  });
  at::set_num_threads(before);
}

// Beyond the room of the first buffers, where the step is recorded anew.
TEST(DecodeStep, GoesOnWhereKeysHaveMoved) {
  const auto caches = caches_of(tiny_model(), 40), again = caches_of(tiny_model(), 40);
  DecodeStep step(tiny_model(), {caches[0].growing(), caches[1].growing()},
                  at::tensor({5, 6}, at::kLong));
  DecodeBatch batch({again[0].cache.get(), again[1].cache.get()});
  at::Tensor ids = at::tensor({5, 6}, at::kLong);
  std::vector<std::string> errors;
  for (int i = 0; i < 70; ++i) {
    step.run(errors);
    ids = tiny_model().extend(ids.unsqueeze(1), batch).argmax(1);
    EXPECT_EQ(host_values(step.ids()), host_values(ids)) << i;
  }
}

}  // namespace
}  // namespace kvbench
