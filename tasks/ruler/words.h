// The word lists and essays that set-up installs below deps_dir()/data; never part of this tree.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/base/random.h"

namespace kvbench::ruler {

// Throws InputError naming the file and how to get it.
[[noreturn]] void throw_missing_data(const std::filesystem::path& file);

// The bytes of an installed data file; throw_missing_data when it cannot be read.
std::string read_data_file(const std::filesystem::path& file);

// wonderwords' lists, distinct and sorted.
struct WordLists {
  std::vector<std::string> adjectives, nouns;

  // "adjective-noun", uniform over all combinations. RULER draws from the distinct combinations;
  // no two pairs of wonderwords 3.0.1 give the same one, so drawing a pair is the same.
  std::string draw(Random& random) const;
};

// Reads adjectivelist.txt and nounlist.txt of the folder, one word a line.
WordLists load_words(const std::filesystem::path& folder);

// nounlist.txt, adjectivelist.txt and verblist.txt together, distinct and sorted.
std::vector<std::string> load_all_words(const std::filesystem::path& folder);

// RULER's english_words.json, a map from a number to a word: the distinct words, sorted; empty when
// there is no such file.
std::vector<std::string> load_more_words(const std::filesystem::path& file);

}  // namespace kvbench::ruler
