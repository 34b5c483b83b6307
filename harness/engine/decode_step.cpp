#include "harness/engine/decode_step.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <time.h>

#include "harness/base/error.h"
#include "harness/engine/step_graph.h"
#include "harness/engine/stopwatch.h"
#include "kernels/argmax/argmax_torch.h"
#include "kernels/common/launch_torch.h"
#include "kernels/common/team.h"

namespace kvbench {
namespace {

std::vector<KvCache*> caches_of(const std::vector<GrowingCache>& growing) {
  std::vector<KvCache*> caches;
  for (const GrowingCache& each : growing) caches.push_back(each.cache);
  return caches;
}

// Of all threads of this process.
double processor_seconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

DecodeStep::DecodeStep(const Decoder& model, std::vector<GrowingCache> caches,
                       const at::Tensor& ids)
    : model_(model),
      caches_(std::move(caches)),
      batch_(caches_of(caches_)),
      ids_(ids.clone()),
      pace_(at::get_num_threads()),
      can_be_recorded_(!model.waits_for_positions()) {}

void DecodeStep::run(std::vector<std::string>& errors) {
  const c10::InferenceMode no_autograd;
  const auto pass = [&](const Decoder::StepObserver& observer) {
    model_.prepare_step(batch_, buffers_);
    if (observer || !can_be_recorded_) {
      launch(observer);
    } else {
      launch_again();
    }
    batch_.advance(1);
    return logits_;
  };
  pass_and_evict(pass, batch_, caches_, errors);
}

void DecodeStep::choose() { argmax_lowest_out(logits_, buffers_.workspace(model_.device()), ids_); }

void DecodeStep::launch(const Decoder::StepObserver& observer) {
  logits_ = model_.step(ids_, batch_, buffers_, observer);
  choose();
}

std::function<void()> DecodeStep::record() {
  const auto pass = [&] { launch({}); };
  if (served_by_cuda(model_.device())) {
    return [graph = std::make_shared<StepGraph>(model_.device(), pass)] { graph->launch(); };
  }
  return [this, program = TeamProgram(pass)] {
    const Stopwatch watch(at::kCPU);
    const double before = processor_seconds();
    program.run(pace_.n_threads());
    pace_.took(1e-3 * watch.ms(), processor_seconds() - before);
  };
}

void DecodeStep::launch_again() {
  if (recorded_ != versions()) again_ = nullptr;
  if (again_ == nullptr && launched_ == versions()) {
    try {
      again_ = record();
      recorded_ = versions();
    } catch (const std::exception&) {
      can_be_recorded_ = false;
      TORCH_WARN_ONCE("decode steps are launched kernel by kernel, not as one CUDA graph: ",
                      current_error());
    }
  }
  if (again_ != nullptr) return again_();
  launch({});
  launched_ = versions();
}

}  // namespace kvbench
