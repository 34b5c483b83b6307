// Memory for vectors, for CPU kernels.
#pragma once

#include <cstdint>
#include <memory>

namespace kvbench {

// Numbers of 32 bits whose vectors lie in one line of the caches each.
template <class T>
class Lines {
 public:
  explicit Lines(int64_t n)
      : lines_(std::make_unique_for_overwrite<Line[]>((n + kOfLine - 1) / kOfLine)) {}
  T* data() const { return lines_.get()->numbers; }

 private:
  static constexpr int64_t kOfLine = 64 / sizeof(T);
  struct alignas(64) Line {
    T numbers[kOfLine];
  };
  std::unique_ptr<Line[]> lines_;
};

}  // namespace kvbench
