// For tests: the structure of cwe and fwe samples, checked like that of the others in
// structure_check.h.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/ruler/common_words_extraction.h"
#include "tasks/ruler/freq_words_extraction.h"
#include "tasks/ruler/ruler_file.h"
#include "tasks/text.h"

namespace kvbench::ruler {

// The words of "1. this 2. that"; they may hold blanks.
inline std::vector<std::string_view> list_words(std::string_view list) {
  std::vector<std::string_view> words;
  for (size_t at = 0; at < list.size();) {
    const std::string head = fmt::format("{}. ", words.size() + 1);
    EXPECT_EQ(list.substr(at, head.size()), head);
    at += head.size();
    const size_t end = std::min(list.find(fmt::format(" {}. ", words.size() + 2), at), list.size());
    words.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  EXPECT_EQ(numbered_list(words), list);
  return words;
}

// Where the common words stand in the list, by common word; every one `common` times, every other
// word `others` times.
inline std::vector<std::vector<size_t>> check_list(const std::vector<std::string_view>& words,
                                                   const std::vector<std::string>& common,
                                                   size_t common_count, size_t others_count) {
  std::map<std::string_view, std::vector<size_t>> places;
  for (size_t i = 0; i < words.size(); ++i) places[words[i]].push_back(i);
  std::vector<std::vector<size_t>> found;
  EXPECT_EQ(common.size(), 10u);
  for (const std::string& word : common) {
    found.push_back(places[word]);
    EXPECT_EQ(found.back().size(), common_count) << word;
    places.erase(word);
  }
  for (const auto& [word, at] : places) EXPECT_EQ(at.size(), others_count) << word;
  return found;
}

struct CommonWordsCheck {
  size_t distinct = 0;                       // words of the list
  std::vector<std::vector<size_t>> example;  // places of the common words in the solved example
  std::vector<std::vector<size_t>> places;   // and in the list
};

// freq_cw 30, freq_ucw 3.
inline CommonWordsCheck check_common_words(const RulerRecord& record, int64_t length) {
  const bool is_short = length < 4096;
  const std::string prompt = record.prompt();
  const std::string empty = common_words_prompt("");
  const std::string head = empty.substr(0, empty.find('\n') + 1);
  const std::string tail = empty.substr(head.size());
  const size_t main = prompt.rfind(head);
  EXPECT_GT(main, 0u);

  const auto list_of = [&](std::string_view text) {
    return text.substr(head.size(), text.find(tail) - head.size());
  };
  const std::string_view solved = std::string_view(prompt).substr(0, main);
  const std::string_view asked = std::string_view(prompt).substr(main);
  const std::string example(list_of(solved)), list(list_of(asked));
  EXPECT_EQ(common_words_prompt(list), asked);
  const std::string answer(solved.substr(common_words_prompt(example).size()));
  EXPECT_EQ(answer.front(), ' ');
  EXPECT_EQ(answer.back(), '\n');
  EXPECT_EQ(common_words_prompt(example) + answer, solved);

  std::vector<std::string> example_common;
  for (const auto word : list_words(std::string_view(answer).substr(1, answer.size() - 2))) {
    example_common.emplace_back(word);
  }
  const auto example_words = list_words(example);
  EXPECT_EQ(std::set(example_words.begin(), example_words.end()).size(), is_short ? 20u : 40u);
  const auto words = list_words(list);
  return {std::set(words.begin(), words.end()).size(),
          check_list(example_words, example_common, is_short ? 3 : 10, is_short ? 1 : 3),
          check_list(words, record.outputs, is_short ? 6 : 30, is_short ? 1 : 3)};
}

struct FrequentWordsCheck {
  int64_t words = 0;            // the size that the counts follow
  std::vector<size_t> pattern;  // each word of the text as the number of its first appearance
};

// alpha 2.0, 50 tokens to generate.
inline FrequentWordsCheck check_frequent_words(const RulerRecord& record, int64_t length) {
  const std::string prompt = record.prompt();
  const std::string empty = frequent_words_prompt("");
  const size_t begin = empty.find(" \n") + 1;
  const std::string context = prompt.substr(begin, prompt.rfind("\nQuestion:") - begin);
  EXPECT_EQ(frequent_words_prompt(context), prompt);

  FrequentWordsCheck check;
  std::map<std::string_view, size_t> numbers;
  std::map<std::string_view, int64_t> counts;
  for (const std::string_view word : split_lines(context, ' ')) {
    ++counts[word];
    check.pattern.push_back(numbers.try_emplace(word, numbers.size()).first->second);
    if (word == "...") continue;
    EXPECT_EQ(word.size(), 6u);
    EXPECT_EQ(word.find_first_not_of("abcdefghijklmnopqrstuvwxyz"), word.npos);
  }
  std::vector<int64_t> sorted;
  for (const auto& [word, count] : counts) sorted.push_back(count);
  std::sort(sorted.rbegin(), sorted.rend());

  const int64_t most = length - 50;
  for (int64_t n = most / 6 - most / 32; n < most && check.words == 0; n += most / 32) {
    std::vector<int64_t> expected = zeta_counts(n, most / 50, 2.0);
    while (!expected.empty() && expected.back() == 0) expected.pop_back();
    if (expected == sorted) check.words = n;
  }
  EXPECT_GT(check.words, 0) << "counts of no zeta distribution of the sizes looked at";
  EXPECT_EQ(counts["..."], sorted[0]);
  EXPECT_EQ(record.outputs.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(counts[record.outputs[i]], sorted[i + 1]);
  return check;
}

}  // namespace kvbench::ruler
