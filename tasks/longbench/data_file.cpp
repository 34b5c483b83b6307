#include "tasks/longbench/data_file.h"

#include "harness/base/error.h"
#include "tasks/metrics.h"

namespace kvbench::longbench {
namespace {

constexpr int64_t kMostLength = int64_t{1} << 53;

// The official program finds out when it grades, after hours of decoding.
void check_gradable(const JsonView& record, const LongBenchSet& set, const LongBenchItem& item) {
  if (set.metric == "classification_score" && item.classes.empty()) {
    record.fail(fmt::format("\"all_classes\" is missing, {} is graded with it", set.name));
  }
  try {
    grade_share(set.metric, {"", item.answers, item.classes});
  } catch (const InputError& e) {
    record.at("answers").fail(e.what());
  }
}

}  // namespace

LongBenchItem read_longbench_item(const JsonView& record, const LongBenchSet& set, int64_t line) {
  LongBenchItem item;
  item.line = line;
  item.id = record.text_or("_id", "");
  item.input = record.at("input").text();
  item.context = record.at("context").filled_text();
  const JsonView answers = record.at("answers");
  item.answers = answers.texts();
  if (item.answers.empty()) answers.fail("expected at least one text, got an empty list");
  if (const auto classes = record.find("all_classes")) item.classes = classes->texts();
  if (const auto length = record.find("length")) item.length = length->integer(0, kMostLength);
  check_gradable(record, set, item);
  return item;
}

}  // namespace kvbench::longbench
