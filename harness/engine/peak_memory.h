// The most memory that was in use since a moment.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>

namespace kvbench {

class PeakMemory {
 public:
  // From here on. On a CPU the process's high-water mark of resident memory begins anew, on an
  // accelerator that of LibTorch's caching allocator.
  explicit PeakMemory(c10::Device device);

  // All bytes; 0 = cannot tell: the high-water mark could not be reset, so it is an earlier one's.
  int64_t bytes() const;
  // The same without mapped files (weights that are read where they lie in the file, libraries),
  // which Linux takes back when it wants to. As they are resident now: a little less than it was
  // where some were not read before the peak. On an accelerator bytes().
  int64_t own_bytes() const;

 private:
  c10::Device device_;
  bool is_reset_ = true;
};

}  // namespace kvbench
