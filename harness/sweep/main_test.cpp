// These tests as a program. A sweep in them starts it anew for an isolated measurement, as one of
// kvbench starts kvbench (measurement.h): with the policies that are registered here.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <iostream>
#include <iterator>
#include <string_view>

#include "harness/sweep/measurement.h"

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "measure") {
    const std::string asked{std::istreambuf_iterator<char>(std::cin), {}};
    fmt::print("{}\n", kvbench::answer_measurement(asked));
    return 0;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
