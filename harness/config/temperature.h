// How boldly answers are drawn, wherever a file may say it.
#pragma once

#include <fmt/format.h>

#include "harness/base/yaml_map.h"

namespace kvbench {

// The key `temperature`: 0 (greedy) to 100; `otherwise` where it is absent. Throws InputError.
inline double read_temperature(const YamlMap& map, double otherwise) {
  constexpr double kMost = 100;
  const double temperature = map.optional("temperature", otherwise);
  if (temperature >= 0 && temperature <= kMost) return temperature;
  map.fail("temperature", fmt::format("expected 0 (greedy) to {}, got {}", kMost, temperature));
}

}  // namespace kvbench
