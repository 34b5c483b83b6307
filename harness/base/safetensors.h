// The safetensors format. Files are untrusted: every offset, size and name is checked against the
// file before a byte is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace kvbench {

// A file open for reading. Not mapped: pages of a mapped file count as this process's memory.
class SafetensorsFile {
 public:
  struct Tensor {
    std::string dtype;  // as the file spells it, e.g. "BF16"
    std::vector<int64_t> shape;
    int64_t offset, n_bytes;  // in the file
  };

  // Throws InputError naming the file and what is wrong with it. A type that the format got after
  // this was written is no error.
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::string& path() const { return path_; }
  const std::map<std::string, Tensor>& tensors() const { return tensors_; }

  // Fills `bytes` from `offset` on. Throws InputError when the file ends before (it was cut since).
  void read(int64_t offset, void* bytes, int64_t n_bytes) const;

 private:
  std::string path_;
  int fd_;
  std::map<std::string, Tensor> tensors_;
};

}  // namespace kvbench
