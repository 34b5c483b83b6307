#include "harness/engine/pace.h"

namespace kvbench {

void Pace::change_to(int n_threads) {
  now_ = n_threads;
  n_steps_ = 0;
  seconds_ = processor_seconds_ = 0;
}

void Pace::took(double seconds, double processor_seconds) {
  ++n_steps_;
  seconds_ += seconds;
  processor_seconds_ += processor_seconds;
  if (now_ == all_) {
    if (left_ > 0) --left_;
    if (n_steps_ < kSteps) return;
    of_all_ = seconds_;
    const bool is_disturbed = processor_seconds_ < kUndisturbed * all_ * seconds_;
    change_to(all_ > 1 && is_disturbed && left_ == 0 ? all_ / 2 : all_);
  } else if (n_steps_ == kSteps && seconds_ > of_all_) {
    left_ = patience_;  // longer each time: these threads may just be idle
    patience_ *= 2;
    change_to(all_);
  } else if (n_steps_ == kAWhile) {
    patience_ = kAWhile;
    change_to(all_);
  }
}

}  // namespace kvbench
