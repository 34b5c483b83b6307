// Errors that say in which layer they arose.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <utility>

#include "harness/base/error.h"

namespace kvbench {

// Runs `work`, a part of one layer. What it throws, of whatever type, becomes a std::runtime_error
// "layer 3: ..."; only an InputError, which is about the whole context, passes as it is.
template <class F>
auto in_layer(int64_t layer, F&& work) {
  try {
    return std::forward<F>(work)();
  } catch (const InputError&) {
    throw;
  } catch (...) {
    throw std::runtime_error(fmt::format("layer {}: {}", layer, current_error()));
  }
}

}  // namespace kvbench
