#include "harness/base/random.h"

#include <unordered_map>

#include "harness/base/error.h"

namespace kvbench {

std::vector<size_t> Random::sample(size_t n, size_t count) {
  KVB_CHECK(count <= n, "cannot draw {} different numbers out of {}", count, n);
  // Fisher-Yates over a sparse permutation: memory follows `count`, not n.
  std::unordered_map<size_t, size_t> moved;
  std::vector<size_t> drawn;
  drawn.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t j = i + below(n - i);
    const auto at_j = moved.find(j);
    drawn.push_back(at_j == moved.end() ? j : at_j->second);
    const auto at_i = moved.find(i);
    moved[j] = at_i == moved.end() ? i : at_i->second;
  }
  return drawn;
}

}  // namespace kvbench
