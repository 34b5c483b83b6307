// Coroutines, and their wait for space.
#include "harness/sweep/work.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "harness/sweep/cache_space.h"

namespace kvbench {
namespace {

Work say(std::vector<std::string>& said, std::string text) {
  said.push_back(std::move(text));
  co_return;
}

Work fail() {
  throw std::runtime_error("planted");
  co_return;
}

Work say_both(std::vector<std::string>& said) {
  co_await say(said, "first");
  co_await say(said, "second");
}

TEST(Work, StartsWhenItIsAwaited) {
  std::vector<std::string> said;
  Work work = say_both(said);
  EXPECT_TRUE(said.empty());
  work.start();
  EXPECT_TRUE(work.is_done());
  EXPECT_EQ(said, (std::vector<std::string>{"first", "second"}));
}

Work hold(CacheSpace& space, int64_t bytes, std::coroutine_handle<>& going_on, int& n_held) {
  struct Pause {
    std::coroutine_handle<>& going_on;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> work) { going_on = work; }
    void await_resume() const {}
  };
  const CacheSpace::Share share = co_await space.take(bytes);
  ++n_held;
  co_await Pause{going_on};
  --n_held;
}

TEST(CacheSpace, FirstComeFirstServed) {
  CacheSpace space(10);
  int n_held = 0;
  std::coroutine_handle<> first_on, second_on, third_on, large_on;
  Work first = hold(space, 6, first_on, n_held), second = hold(space, 6, second_on, n_held),
       third = hold(space, 4, third_on, n_held), large = hold(space, 99, large_on, n_held);
  first.start();
  second.start();
  third.start();  // would fit, but the second was there before
  large.start();
  EXPECT_EQ(n_held, 1);
  space.admit();
  EXPECT_EQ(n_held, 1);
  first_on.resume();
  EXPECT_TRUE(first.is_done());
  EXPECT_EQ(n_held, 0);
  space.admit();
  EXPECT_EQ(n_held, 2);
  second_on.resume();
  space.admit();
  EXPECT_EQ(n_held, 1);
  third_on.resume();
  space.admit();  // more than there is, but nothing else is taken
  EXPECT_EQ(n_held, 1);
  large_on.resume();
  EXPECT_TRUE(large.is_done());
  EXPECT_FALSE(space.is_awaited());
}

Work outer(bool& was_caught) {
  try {
    co_await fail();
  } catch (const std::runtime_error&) {
    was_caught = true;
  }
  co_await fail();
}

TEST(Work, ExceptionsGoToWhoAwaits) {
  bool was_caught = false;
  Work work = outer(was_caught);
  work.start();
  EXPECT_TRUE(was_caught);
  EXPECT_THROW(work.is_done(), std::runtime_error);
}

TEST(CacheSpace, FreeMemoryIsWhatAProcessCouldTake) {
  EXPECT_GT(free_memory(c10::kCPU), int64_t{1} << 20);
  EXPECT_LT(free_memory(c10::kCPU), int64_t{1} << 50);
}

}  // namespace
}  // namespace kvbench
