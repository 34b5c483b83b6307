#include "harness/engine/pace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace kvbench {
namespace {

struct Step {
  double seconds, processor_seconds;
};

// Threads of each of the next steps, a step of n threads being step(n).
template <class F>
std::vector<int> threads_of(Pace& pace, int n_steps, F&& step) {
  std::vector<int> threads;
  for (int i = 0; i < n_steps; ++i) {
    threads.push_back(pace.n_threads());
    const Step took = step(pace.n_threads());
    pace.took(took.seconds, took.processor_seconds);
  }
  return threads;
}

TEST(Pace, HalfOfTheThreadsWhileOthersWantTheCores) {
  const auto alone = [](int n) { return n == 2 ? Step{1, 1.9} : Step{1.8, 1.8}; };
  const auto beside_others = [](int n) { return n == 2 ? Step{3, 3.9} : Step{1.9, 1.8}; };
  Pace pace(2);
  EXPECT_EQ(threads_of(pace, 100, alone), std::vector<int>(100, 2));
  std::vector<int> want(4, 2);  // slow now; 32 of half, and all look again
  want.insert(want.end(), 32, 1);
  want.insert(want.end(), 4, 2);
  want.insert(want.end(), 32, 1);
  EXPECT_EQ(threads_of(pace, 72, beside_others), want);
  EXPECT_EQ(threads_of(pace, 100, alone), std::vector<int>(100, 2));
}

// Many threads with little to do sleep while nobody else wants the cores.
TEST(Pace, AllOfThemWhereHalfAreSlower) {
  Pace pace(8);
  const auto threads = threads_of(pace, 500, [](int n) {
    return n == 8 ? Step{1, 4} : Step{1.5, 4};
  });
  std::vector<int> first(4, 8);
  first.insert(first.end(), 4, 4);
  first.insert(first.end(), 32, 8);
  EXPECT_EQ(std::vector<int>(threads.begin(), threads.begin() + 40), first);
  EXPECT_EQ(std::count(threads.begin(), threads.end(), 4), 16);  // in vain, ever more seldom
}

TEST(Pace, OneThreadHasNoChoice) {
  Pace pace(1);
  EXPECT_EQ(threads_of(pace, 50, [](int) { return Step{9, 1}; }), std::vector<int>(50, 1));
}

}  // namespace
}  // namespace kvbench
