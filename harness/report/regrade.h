// Stored predictions graded anew by today's graders, without the model.
#pragma once

#include "harness/results/results_file.h"

namespace kvbench {

struct Regraded {
  int64_t n_rows = 0;     // graded
  int64_t n_changed = 0;  // of them, whose score or strict match is another now
};

// Replaces the scores of all rows that have a prediction; the file stays as it is. A row that the
// grader refuses becomes a failed one. Throws InputError for a file that does not say how it was
// graded (schemas 1 and 2) and for a metric that is not known.
Regraded regrade(Results& results);

}  // namespace kvbench
