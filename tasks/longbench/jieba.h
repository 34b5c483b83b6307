// Chinese words as jieba 0.42.1 cuts them: accurate mode, with its hidden Markov model for what the
// dictionary does not know (jieba/__init__.py, jieba/finalseg/__init__.py).
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kvbench::longbench {

class Jieba {
 public:
  // Reads dict.txt ("WORD FREQUENCY TAG" a line) and hmm.txt ("start STATE P", "trans FROM TO P",
  // "emit STATE CHARACTER P"; natural logarithms) of `folder`, as fetch_data.sh makes them. Throws
  // InputError naming file and line for damage, and what installs them when they are missing.
  explicit Jieba(const std::filesystem::path& folder);

  // list(jieba.cut(text)): the tokens in a row are the text.
  std::vector<std::u32string> segment(std::u32string_view text) const;

 private:
  // States of the model in the order of their letters, which decides between equal paths.
  enum State : size_t { kBegin, kEnd, kMiddle, kSingle, kStates };
  using OfState = std::array<double, kStates>;
  using Tokens = std::vector<std::u32string>;

  void read_dictionary(const std::filesystem::path& file);
  void read_model(const std::filesystem::path& file);

  int child(int node, char32_t c) const;  // -1: no word begins so
  double frequency(std::u32string_view word) const;
  std::vector<size_t> best_ends(std::u32string_view run) const;
  void cut_run(std::u32string_view run, Tokens& out) const;
  void cut_singles(std::u32string_view singles, Tokens& out) const;
  void cut_by_model(std::u32string_view text, Tokens& out) const;
  std::vector<State> states_of(std::u32string_view text) const;

  // The words as a tree: node 0 is the empty prefix, keys are node and next character.
  std::unordered_map<uint64_t, int> children_;
  std::vector<double> frequencies_ = {0};  // of nodes; 0: only the start of words
  double log_total_ = 0;
  OfState start_{};
  std::array<OfState, kStates> transition_{};  // [from][to]
  std::unordered_map<char32_t, OfState> emission_;
};

// The one over DEPS/data/jieba, read when it is first asked for (0.3 s).
const Jieba& jieba();

}  // namespace kvbench::longbench
