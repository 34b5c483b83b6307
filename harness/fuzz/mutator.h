// Damaged copies of good files: the same seed makes the same bytes everywhere.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "harness/base/random.h"

namespace kvbench::fuzz {

// Where a file's bytes are text that means something.
struct Form {
  bool text = false;  // all of them
  // A text whose length stands before it, little-endian: its place and its bytes; 0 = there is
  // none.
  size_t length_at = 0, length_bytes = 0;
};

// A copy of one of `files` (not empty) after one to four changes. Bytes: flipped bits, extreme
// integers, cuts, repetitions, pieces of another file. Text: values replaced by extreme ones
// (numbers out of range, wrong types, very long or deep ones), removed, repeated or exchanged; keys
// and lines doubled. The length before a text follows the text, half of the time.
std::string mutate(const std::vector<std::string>& files, const Form& form, Random& random);

}  // namespace kvbench::fuzz
