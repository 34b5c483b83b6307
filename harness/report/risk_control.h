// How far a loss can be bounded from a sample of contexts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvbench {

// Valid p-value for "the mean loss is above `risk`", from the mean of n independent losses in
// [0, 1]: the Hoeffding-Bentkus one, min(exp(-n KL(mean, risk)), e P(Binomial(n, risk) <= ceil(n
// mean))), 1 where mean >= risk (Bates et al. 2021, Distribution-free, risk-controlling prediction
// sets, 3.1). 0 < risk < 1.
double hoeffding_bentkus_p(double mean, int64_t n, double risk);

// The losses of n contexts, in [0, 1], at each setting of a policy, mildest first; each setting may
// have its own n.
using Losses = std::vector<std::vector<double>>;

// How many settings are certified, from the first on without a gap, so that with probability
// `confidence` none of them has a true mean loss above `risk`: Learn then Test with a fixed
// sequence (Angelopoulos et al. 2021, algorithm 1): each is tested at the level 1 - confidence
// until one is not rejected. No loss need be monotone.
size_t learn_then_test(const Losses& losses, double risk, double confidence);

// How many settings conformal risk control allows (Angelopoulos et al. 2022, theorem 1): as long as
// n / (n + 1) mean + 1 / (n + 1) <= risk. The expected loss of a new context is then at most
// `risk`, if contexts are exchangeable and losses do not fall along the settings.
size_t conformal_risk_control(const Losses& losses, double risk);

// Contexts that the two need where no loss is seen at all.
int64_t contexts_to_test(double risk, double confidence);
int64_t contexts_to_conform(double risk);

}  // namespace kvbench
