// Contexts in work at once, so that their caches decode as one batch.
#pragma once

#include <list>

#include "harness/sweep/context_runner.h"

namespace kvbench {

// While fewer sequences decode than make good use of a reading of the weights, and there is room
// for more caches, the next context is prefilled.
class SideBySide {
 public:
  // `memory`: bytes for the keys and values of all contexts together.
  SideBySide(const Decoder& model, int64_t memory);

  Workplace shared() { return {pool_, space_}; }

  // Starts it as soon as it is its turn. Throws what any work threw.
  void start(Work work);
  // Until all is done.
  void finish();

 private:
  void step();

  int64_t enough_;  // sequences
  DecodePool pool_;
  CacheSpace space_;
  std::list<Work> in_work_;
};

}  // namespace kvbench
