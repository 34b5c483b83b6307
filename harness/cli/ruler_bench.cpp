// ruler_bench MODEL_DIR TASK LENGTH SAMPLES OUT: times a RULER task's samples and their token ids,
// as a sweep needs them, in one thread. Writes the samples to OUT (JSONL) and prints one line of
// JSON: seconds of generating (every prompt counted at every probe), of the ids of all prompts, and
// of the same once more with a tokenizer that has not seen them; and the number of tokens.
// ruler_side_by_side.py runs it in turn with a plain Python version.
#include <fmt/format.h>

#include <chrono>
#include <string>
#include <vector>

#include "harness/base/error.h"
#include "harness/text/tokenizer.h"
#include "tasks/ruler/ruler_task.h"

namespace kvbench {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Tokens and seconds of encoding every prompt.
std::pair<size_t, double> encode_all(const Tokenizer& tokenizer,
                                     const std::vector<RulerRecord>& records) {
  const auto start = std::chrono::steady_clock::now();
  size_t tokens = 0;
  for (const auto& record : records) {
    tokens += tokenizer.encode(record.input).size();
    tokens += tokenizer.encode(record.answer_prefix.value_or("")).size();
  }
  return {tokens, seconds_since(start)};
}

void run(const std::vector<std::string>& words) {
  if (words.size() != 5) throw InputError("expected MODEL_DIR TASK LENGTH SAMPLES OUT");
  const Tokenizer tokenizer = Tokenizer::load_folder(words[0]);
  size_t counted = 0;
  const auto start = std::chrono::steady_clock::now();
  const auto records = generate_ruler("ruler/" + words[1], std::stoll(words[2]),
                                      std::stoll(words[3]), 42, [&](std::string_view text) {
                                        const size_t tokens = tokenizer.encode(text).size();
                                        counted += tokens;
                                        return static_cast<int64_t>(tokens);
                                      });
  const double generating = seconds_since(start);
  const auto [tokens, warm] = encode_all(tokenizer, records);
  const Tokenizer fresh = Tokenizer::load_folder(words[0]);
  const double cold = encode_all(fresh, records).second;
  write_ruler_file(words[4], records);
  fmt::print(R"({{"generate_s": {:.3f}, "ids_s": {:.3f}, "ids_unseen_s": {:.3f}, )"
             R"("tokens_counted": {}, "tokens": {}}})"
             "\n",
             generating, warm, cold, counted, tokens);
}

}  // namespace
}  // namespace kvbench

int main(int argc, char** argv) {
  try {
    kvbench::run({argv + 1, argv + argc});
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "ruler_bench: {}\n", e.what());
    return 2;
  }
}
