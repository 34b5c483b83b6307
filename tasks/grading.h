// The score of an answer: the one way from a prediction to a number, for runs, `grade` and
// `report --regrade`.
#pragma once

#include <optional>
#include <string>

#include "tasks/metric.h"
#include "tasks/protocol.h"

namespace kvbench {

// What of a prediction is graded: the whole of it, or what the rules leave.
std::string graded_part(const Grading& grading, const std::string& prediction);

// 0..100, as results files hold it. Throws as Metric::share does.
double score_of(const Grading& grading, const Answered& answered);

// 0 or 100 by the metric `exact_match`; nan where the grading does not ask for it.
double exact_score_of(const Grading& grading, const Answered& answered);

// Grading as a JSON text and back: what a results file keeps of it. The reader throws InputError
// beginning with `place`.
std::string grading_json(const Grading& grading);
Grading parse_grading(const std::string& json, const std::string& place);

}  // namespace kvbench
