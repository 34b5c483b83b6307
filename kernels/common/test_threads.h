// Tests of CPU kernels whose result must not depend on the number of threads.
#pragma once

#include <omp.h>

#include "kernels/common/test_device.h"

namespace kvbench {

// Runs again with other numbers of threads and wants the same bits of `out`. A device has no such
// choice.
template <class T, class Run>
void expect_same_with_any_threads(const TestArray<T>& out, Run run) {
  if (kTestsCuda || out.size() == 0) return;
  const std::vector<T> want = out.read();
  const int before = omp_get_max_threads();
  for (const int threads : {1, 3}) {
    omp_set_num_threads(threads);
    run();
    EXPECT_EQ(std::memcmp(out.read().data(), want.data(), out.bytes()), 0) << threads;
  }
  omp_set_num_threads(before);
}

}  // namespace kvbench
