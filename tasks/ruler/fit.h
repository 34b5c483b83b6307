// How RULER sizes a haystack so that a sample's LENGTH (tokens of the prompt + tokens to generate)
// stays within the task's length: generate_samples of RULER niah.py, variable_tracking.py,
// common_words_extraction.py and qa.py.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tasks/task.h"

namespace kvbench::ruler {

struct Draw {
  std::string prompt;  // with the answer prefix
  std::vector<std::string> answers;
};

// A fresh random sample over `size` units of haystack; nothing when that many cannot hold it.
using Drawer = std::function<std::optional<Draw>(int64_t size)>;

// From the units that fill a task by the first probe to the largest size looked at.
using SearchBound = int64_t (*)(double units);

struct FitRule {
  std::string task;        // named in errors
  int64_t max_length = 0;  // the most LENGTH a sample may have, tokens
  int64_t step = 0;        // smallest size looked at, and by how much a sample shrinks, units
  int64_t probe = 0;       // size of the draw that estimates the tokens of a unit; 0 = step
  SearchBound bound = [](double units) { return static_cast<int64_t>(units * 3); };
  int64_t most = INT64_MAX;  // units that there are
};

// The largest size that fitted in a binary search over [step, max(bound, 2 * step)], each probe on
// a fresh draw; `step` when none did. `extra_tokens` count into the LENGTH of a probe.
int64_t fit_size(const FitRule& rule, const Drawer& draw, const TokenCounter& count_tokens,
                 int64_t extra_tokens);

struct FittedDraw {
  Draw draw;
  int64_t length = 0;  // LENGTH
};

// Draws from `size` on until one fits. A draw that is too long or cannot be made lowers the size by
// `step` while it is above `step`; hence essays have two lengths, full or 500 words short.
// Where the official loop would never end, throws InputError naming the task, its length and the
// shortest LENGTH seen.
FittedDraw fit_draw(const FitRule& rule, int64_t size, const Drawer& draw,
                    const TokenCounter& count_tokens, int64_t tokens_to_generate);

// Throws InputError: no sample fits, the shortest drawn has LENGTH `shortest`.
[[noreturn]] void throw_too_short(const std::string& task, int64_t max_length, int64_t shortest,
                                  int64_t tokens_to_generate);

}  // namespace kvbench::ruler
