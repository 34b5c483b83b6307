// How a prediction is graded: one part of a kind that registers itself (base/registry.h).
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "harness/base/registry.h"

namespace kvbench {

// A prediction with what it is compared with. UTF-8; ill-formed bytes count as U+FFFD.
struct Answered {
  std::string prediction;
  std::vector<std::string> references;
  std::vector<std::string> classes = {};  // all class names of the data set: classification
};

class Metric {
 public:
  static const char* kind() { return "metric"; }
  virtual ~Metric() = default;

  // Score as the benchmark's own code computes it, 0..1 in full precision. Throws InputError for
  // references that the official code cannot grade either.
  virtual double share(const Answered& answered) const = 0;
  // false: the prediction alone decides.
  virtual bool needs_references() const { return true; }
};

// A metric of one reference: the best counts, and none is 0 (LongBench eval.py, scorer).
class BestReference : public Metric {
 public:
  double share(const Answered& answered) const final {
    double best = 0;
    for (const auto& reference : answered.references) {
      best = std::max(best, score(answered, reference));
    }
    return best;
  }

 private:
  virtual double score(const Answered& answered, const std::string& reference) const = 0;
};

#define KVB_REGISTER_METRIC(NAME, CLASS, DOC) KVB_REGISTER(::kvbench::Metric, NAME, CLASS, DOC)

}  // namespace kvbench
