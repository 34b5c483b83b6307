// What a profile's run has measured so far: one small file for each group of contexts, in a folder
// OUTPUT.parts beside the output, until the output holds it all. A kill at any moment loses no
// finished group, and a group costs the same however many came before.
#pragma once

#include <filesystem>
#include <vector>

#include "harness/profile/profile_data.h"

namespace kvbench {

class ProfileParts {
 public:
  explicit ProfileParts(const std::filesystem::path& output);

  // The parts that are there, by their first context.
  std::vector<std::filesystem::path> files() const;
  // Adds a group's measurements; the folder comes with the first one.
  void add(const ProfileData& group) const;
  // Deletes the parts, and the folder unless it holds anything else.
  void remove() const;

 private:
  std::filesystem::path folder_;
};

}  // namespace kvbench
