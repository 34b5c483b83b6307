// The largest ratio whose loss against the full cache is bounded.
#pragma once

#include <string>
#include <vector>

#include "harness/report/blocks.h"

namespace kvbench {

// What is to be promised. The loss of a context is the mean over its samples, 0 to 1.
struct Promise {
  enum class Loss {
    kDrop,  // max(0, the full cache's score - the policy's) / 100
    kWorse  // 1 where the policy's score is the lower one, else 0
  };

  double risk = 0;  // the mean loss is at most this
  Loss loss = Loss::kDrop;
  double confidence = 0.95;
};

// "risk=0.05,loss=drop,confidence=0.95", in any order; the last two may be absent. Throws
// InputError for an unknown or missing name and for a number that is not inside (0, 1).
Promise parse_promise(const std::string& text);

// A line per policy for all contexts of several tasks together, each counting once, then for each
// task: the largest ratio that Learn then Test certifies (risk_control.h; the ratios in ascending
// order, "none" with the number of contexts that a loss of 0 would take), the first that it does
// not, and the largest of conformal risk control, for which a sample's loss at a ratio is the most
// that it lost at this or a smaller one. At each ratio count the samples that the full cache and
// the policy at all ratios so far answered. Blocks without the full cache have no lines.
Table certify_table(const std::vector<Block>& blocks, const Promise& promise);

// What the numbers promise, and on which assumptions: to be printed with the table.
std::vector<std::string> assumptions(const Promise& promise);

}  // namespace kvbench
