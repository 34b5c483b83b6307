// Which class names does the prediction hold? (LongBench metrics.py, classification_score)
#include <algorithm>

#include "tasks/metric.h"

namespace kvbench::longbench {
namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

class Classification : public BestReference {
 public:
  explicit Classification(Params&) {}

 private:
  double score(const Answered& answered, const std::string& reference) const override {
    std::vector<std::string> found;
    for (const auto& name : answered.classes) {
      if (holds(answered.prediction, name)) found.push_back(name);
    }
    // The official loop deletes from the list that it walks, so the entry behind a deleted one is
    // not looked at; and it deletes the first entry that is equal.
    for (size_t i = 0; i < found.size(); ++i) {
      const std::string name = found[i];
      if (name != reference && holds(reference, name)) {
        found.erase(std::find(found.begin(), found.end(), name));
      }
    }
    if (std::find(found.begin(), found.end(), reference) == found.end()) return 0;
    return 1.0 / static_cast<double>(found.size());
  }
};

KVB_REGISTER_METRIC("classification_score", Classification,
                    "LongBench: the right class among those named");

}  // namespace
}  // namespace kvbench::longbench
