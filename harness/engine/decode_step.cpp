#include "harness/engine/decode_step.h"

#include <ATen/ATen.h>

#include "harness/base/error.h"
#include "kernels/argmax/argmax_torch.h"
#include "kernels/common/launch_torch.h"

namespace kvbench {
namespace {

std::vector<KvCache*> caches_of(const std::vector<GrowingCache>& growing) {
  std::vector<KvCache*> caches;
  for (const GrowingCache& each : growing) caches.push_back(each.cache);
  return caches;
}

}  // namespace

DecodeStep::DecodeStep(const Decoder& model, std::vector<GrowingCache> caches,
                       const at::Tensor& ids)
    : model_(model),
      caches_(std::move(caches)),
      batch_(caches_of(caches_)),
      ids_(ids.clone()),
      can_be_graph_(served_by_cuda(model.device()) && !model.waits_for_positions()) {}

void DecodeStep::run(std::vector<std::string>& errors) {
  const c10::InferenceMode no_autograd;
  const auto pass = [&](const Decoder::StepObserver& observer) {
    model_.prepare_step(batch_, buffers_);
    if (observer || !can_be_graph_) {
      launch(observer);
    } else {
      launch_graph();
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

void DecodeStep::launch_graph() {
  if (recorded_ != versions()) graph_.reset();
  if (graph_ == nullptr && launched_ == versions()) {
    try {
      graph_ = std::make_unique<StepGraph>(model_.device(), [&] { launch({}); });
      recorded_ = versions();
    } catch (const std::exception&) {
      can_be_graph_ = false;
      TORCH_WARN_ONCE("decode steps are launched kernel by kernel, not as one CUDA graph: ",
                      current_error());
    }
  }
  if (graph_ != nullptr) return graph_->launch();
  launch({});
  launched_ = versions();
}

}  // namespace kvbench
