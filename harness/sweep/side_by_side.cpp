#include "harness/sweep/side_by_side.h"

namespace kvbench {
namespace {

// From here on a step takes longer for every sequence more: a CPU's cores are busy then; a GPU's
// much later.
constexpr int64_t kEnoughOfCpu = 16, kEnoughOfGpu = 64;

}  // namespace

SideBySide::SideBySide(const Decoder& model, int64_t memory)
    : enough_(model.device().is_cpu() ? kEnoughOfCpu : kEnoughOfGpu),
      pool_(model),
      space_(memory) {}

void SideBySide::start(Work work) {
  while (space_.is_awaited() || pool_.n_running() >= enough_) step();
  in_work_.push_back(std::move(work));
  in_work_.back().start();
  std::erase_if(in_work_, [](const Work& each) { return each.is_done(); });
}

void SideBySide::finish() {
  while (!in_work_.empty()) step();
}

void SideBySide::step() {
  pool_.step();
  space_.admit();
  std::erase_if(in_work_, [](const Work& each) { return each.is_done(); });
}

}  // namespace kvbench
