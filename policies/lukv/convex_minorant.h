// The loss curve of a head made convex, so that a greedy allocation is optimal. policies.md 4.3.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvbench::lukv {

// A straight piece of a convexified curve.
struct Segment {
  float slope;  // loss of each of its tokens
  int32_t tokens;

  bool operator==(const Segment&) const = default;
};

// The greatest convex minorant of the points (d, F(d)), F the sums of `marginals` (at least 0, in
// discard order), as segments of increasing slope whose tokens add up to marginals.size(). It is
// the isotonic regression of the marginals (isotonic.h): block means, in float64,
// rounded to float32 at the end. It equals F where a segment ends.
std::vector<Segment> convex_minorant(std::span<const float> marginals);

// The minorant's value at n_discarded = 0 ... the sum of its tokens.
double loss_at(std::span<const Segment> curve, int64_t n_discarded);

}  // namespace kvbench::lukv
