// One writer per results file.
#pragma once

#include <filesystem>
#include <string>

namespace kvbench {

// Holds FILE.lock beside the file. The kernel drops the lock when the process ends in any way, so
// a lock file that a killed run left behind blocks nobody. Not the results file itself: on network
// file systems that would keep readers out.
class FileLock {
 public:
  FileLock() = default;  // holds nothing
  // Throws InputError naming the holder when another process (or this one) holds it; `or_else` is
  // what can be done but to wait.
  explicit FileLock(const std::filesystem::path& file,
                    const std::string& or_else = ", or choose another --output");
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  void release();

  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace kvbench
