// solver_bench FILE LAYERS HEADS TOKENS SINK WINDOW OUT: times the solver on raw arrays.
// FILE: float32 scores [L, H, T], then importance [L, H, T]. Writes the discard table, int32
// [99, L, H], to OUT and prints the milliseconds of ranking, minorants and all 99 rows.
// solver_side_by_side.py runs it in turn with a plain Python version.
#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <span>
#include <string>

#include "harness/base/error.h"
#include "policies/lukv/allocation.h"
#include "policies/lukv/loss_curve.h"

namespace kvbench::lukv {
namespace {

void solve(const std::vector<std::string>& words) {
  if (words.size() != 7) throw InputError("expected FILE LAYERS HEADS TOKENS SINK WINDOW OUT");
  const int64_t n_layers = std::stoll(words[1]), n_heads = std::stoll(words[2]);
  const int64_t n_tokens = std::stoll(words[3]), sink = std::stoll(words[4]);
  const int64_t window = std::stoll(words[5]), size = n_layers * n_heads * n_tokens;
  std::vector<float> values(static_cast<size_t>(2 * size));
  const auto n_bytes = static_cast<std::streamsize>(values.size() * sizeof(float));
  std::ifstream in(words[0], std::ios::binary);
  if (!in.read(reinterpret_cast<char*>(values.data()), n_bytes)) {
    throw_input_error("{}: expected {} bytes", words[0], n_bytes);
  }
  const std::span<const float> scores(values.data(), static_cast<size_t>(size));
  const std::span<const float> importance(values.data() + size, static_cast<size_t>(size));

  const auto start = std::chrono::steady_clock::now();
  Curves curves;
  for (int64_t first = 0; first < size; first += n_tokens) {
    curves.push_back(convex_minorant(marginal_losses(
        scores.subspan(first, n_tokens), importance.subspan(first, n_tokens), sink, window)));
  }
  const auto table = discard_table(curves, n_heads, n_tokens,
                                   min_keep_tokens(0.01, n_tokens, sink, window), Scope::kGlobal);
  const std::chrono::duration<double, std::milli> elapsed =
      std::chrono::steady_clock::now() - start;
  std::ofstream(words[6], std::ios::binary)
      .write(reinterpret_cast<const char*>(table.data()),
             static_cast<std::streamsize>(table.size() * sizeof(int32_t)));
  fmt::print("{:.3f}\n", elapsed.count());
}

}  // namespace
}  // namespace kvbench::lukv

int main(int argc, char** argv) {
  try {
    kvbench::lukv::solve({argv + 1, argv + argc});
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "solver_bench: {}\n", e.what());
    return 2;
  }
}
