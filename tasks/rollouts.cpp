#include "tasks/rollouts.h"

#include <utility>

#include "harness/base/error.h"

namespace kvbench {
namespace {

class Rollouts : public SampleSource {
 public:
  Rollouts(std::unique_ptr<SampleSource> source, int64_t rollouts)
      : source_(std::move(source)), n_(source_->size()), rollouts_(rollouts) {
    KVB_CHECK(source_->id(n_ - 1) < kRolloutStride, "a sample has the number {}",
              source_->id(n_ - 1));
  }

  const Protocol& protocol() const override { return source_->protocol(); }
  int64_t size() const override { return rollouts_ * n_; }
  int64_t length() const override { return source_->length(); }
  int64_t id(int64_t i) const override { return i / n_ * kRolloutStride + source_->id(i % n_); }
  std::string context_key(int64_t i) const override {
    return fmt::format("{} {}", i / n_, source_->context_key(i % n_));
  }
  int64_t context_bytes(int64_t i) const override { return source_->context_bytes(i % n_); }
  Sample sample(int64_t i) const override {
    Sample sample = source_->sample(i % n_);
    sample.id = id(i);
    return sample;
  }

 private:
  std::unique_ptr<SampleSource> source_;
  int64_t n_, rollouts_;
};

}  // namespace

std::unique_ptr<SampleSource> with_rollouts(std::unique_ptr<SampleSource> source,
                                            int64_t rollouts) {
  if (rollouts == 1) return source;
  return std::make_unique<Rollouts>(std::move(source), rollouts);
}

}  // namespace kvbench
