// How many threads take a decode step on a CPU: all, or half of them while others want the cores.
#pragma once

namespace kvbench {

// Threads that share a step wait for one another, so that one that has lost its core holds up all:
// beside a single busy process two threads on two cores are slower than one. What a step says does
// not depend on their number. So where all threads together do not get the time of as many cores,
// half of them try; if they are the faster, they go on for a while.
class Pace {
 public:
  explicit Pace(int n_threads) : all_(n_threads), now_(n_threads) {}

  int n_threads() const { return now_; }  // of the next step

  // What the step of n_threads() took, and how much time of a processor this process had meanwhile.
  void took(double seconds, double processor_seconds);

 private:
  static constexpr int kSteps = 4;             // that are looked at together
  static constexpr int kAWhile = 32;           // steps of half the threads before all try again
  static constexpr double kUndisturbed = 0.8;  // of the cores' time, or more

  void change_to(int n_threads);

  int all_, now_;
  int n_steps_ = 0;  // since the last change, or since they were looked at
  double seconds_ = 0, processor_seconds_ = 0;  // of them
  double of_all_ = 0;                           // seconds of kSteps steps of all threads
  int patience_ = kAWhile, left_ = 0;           // steps of all threads before half may try again
};

}  // namespace kvbench
