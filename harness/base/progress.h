// How long work tells whoever waits: only harness/cli shows it (progress_bar.h).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace kvbench {

// Called when `units` more are done, doing `what`; any thread may call it.
using Advance = std::function<void(int64_t units, const std::string& what)>;

// Called once when the work is known: `done` of `total` units are there already. What it returns
// is told of every step; an empty one is told of nothing.
using StartProgress = std::function<Advance(int64_t total, int64_t done)>;

}  // namespace kvbench
