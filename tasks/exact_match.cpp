// The strict reading beside metrics that look for an answer inside the prediction.
#include "tasks/metric.h"
#include "tasks/text.h"

namespace kvbench {
namespace {

// 1 when the prediction is the reference: whitespace at both ends aside, and nothing else.
class ExactMatch : public BestReference {
 public:
  explicit ExactMatch(Params&) {}

 private:
  double score(const Answered& answered, const std::string& reference) const override {
    const std::u32string prediction = code_points(answered.prediction);
    const std::u32string wanted = code_points(reference);
    return strip_spaces(prediction) == strip_spaces(wanted) ? 1 : 0;
  }
};

KVB_REGISTER_METRIC("exact_match", ExactMatch, "is the prediction one of the references?");

}  // namespace
}  // namespace kvbench
