// What a head loses as its tokens go, in the order in which a scorer lets them go. policies.md 4.2.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvbench::lukv {

// Marginal losses of one head, [E] with E = T - sink - window: the importance of the tokens that
// are not protected in discard order, lowest score first. Among equal scores the later position
// goes first (so that the earlier one is kept, policies.md 0.2). scores and importance: [T];
// importance is at least 0. Throws InputError when no token is left unprotected, std::logic_error
// for a NaN.
std::vector<float> marginal_losses(std::span<const float> scores, std::span<const float> importance,
                                   int64_t sink, int64_t window);

// F(d), d = 0 ... E: the loss of discarding the first d tokens, sums in float64.
std::vector<double> loss_curve(std::span<const float> marginals);

}  // namespace kvbench::lukv
