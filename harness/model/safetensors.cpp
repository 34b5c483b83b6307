#include "harness/model/safetensors.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/base/error.h"

namespace kvbench {

using nlohmann::json;

// A whole file, readable; private and writable because LibTorch knows no read-only memory.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path) : path_(path.string()) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw_input_error("{}: cannot be read: {}", path_, std::strerror(errno));
    struct stat info {};
    const bool is_file = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    size_ = is_file ? static_cast<uint64_t>(info.st_size) : 0;
    if (size_ > 0) {
      void* data = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
      data_ = data == MAP_FAILED ? nullptr : static_cast<char*>(data);
    }
    ::close(fd);
    if (!is_file) throw_input_error("{}: not a regular file", path_);
    if (size_ > 0 && data_ == nullptr) throw_input_error("{}: cannot be mapped", path_);
  }
  ~MappedFile() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }
  char* data() const { return data_; }

 private:
  std::string path_;
  uint64_t size_ = 0;
  char* data_ = nullptr;
};

namespace {

constexpr uint64_t kMaxHeader = 100'000'000;  // the format's own limit

at::ScalarType parse_dtype(const std::string& place, const std::string& name) {
  static const std::map<std::string, at::ScalarType> known = {
      {"F64", at::kDouble}, {"F32", at::kFloat}, {"BF16", at::kBFloat16}, {"F16", at::kHalf},
      {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort},     {"I8", at::kChar},
      {"U8", at::kByte},    {"BOOL", at::kBool}};
  const auto it = known.find(name);
  if (it == known.end()) throw_input_error("{}: dtype {} is not supported", place, name);
  return it->second;
}

// Number of elements, or an error when the product leaves the range of sane sizes.
int64_t checked_numel(const std::string& place, const std::vector<int64_t>& shape) {
  int64_t numel = 1;
  for (const auto size : shape) {
    if (size < 0 || __builtin_mul_overflow(numel, size, &numel) || numel > int64_t{1} << 56) {
      throw_input_error("{}: impossible shape [{}]", place, fmt::join(shape, ", "));
    }
  }
  return numel;
}

template <class T>
T field(const std::string& place, const json& object, const char* key) {
  try {
    return object.at(key).get<T>();
  } catch (const json::exception&) {
    throw_input_error("{}: \"{}\" is missing or of a wrong type", place, key);
  }
}

json parse_header(const MappedFile& file) {
  uint64_t length = 0;
  if (file.size() < sizeof length) {
    throw_input_error("{}: {} bytes are too few for a safetensors file", file.path(), file.size());
  }
  std::memcpy(&length, file.data(), sizeof length);  // little-endian, as this machine is
  if (length > kMaxHeader || length > file.size() - sizeof length) {
    throw_input_error(
        "{}: its header claims {} bytes, the file has {}: truncated or not "
        "safetensors",
        file.path(), length, file.size());
  }
  const char* begin = file.data() + sizeof length;
  json header = json::parse(begin, begin + length, nullptr, /*allow_exceptions=*/false);
  if (!header.is_object()) throw_input_error("{}: its header is not a JSON object", file.path());
  return header;
}

}  // namespace

Weights::Weights(const std::filesystem::path& model_dir) : dir_(model_dir) {
  if (model_dir.extension() == ".safetensors") {
    add_file(model_dir);
    return;
  }
  const auto single = model_dir / "model.safetensors";
  const auto index = model_dir / "model.safetensors.index.json";
  if (std::filesystem::exists(single) || !std::filesystem::exists(index)) {
    add_file(single);
    return;
  }
  std::ifstream in(index);
  const json content = json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!content.is_object()) throw_input_error("{}: not a JSON object", index.string());
  const auto weight_map =
      field<std::map<std::string, std::string>>(index.string(), content, "weight_map");
  std::set<std::string> files;
  for (const auto& [tensor, file] : weight_map) files.insert(file);
  for (const auto& file : files) {
    // An untrusted name must not lead out of the folder.
    if (std::filesystem::path(file).filename() != file || file.empty() || file == "..") {
      throw_input_error("{}: \"{}\" is not a plain file name", index.string(), file);
    }
    add_file(model_dir / file);
  }
  for (const auto& [tensor, file] : weight_map) {
    if (!has(tensor)) {
      throw_input_error("{}: names tensor {} in {}, which does not hold it", index.string(), tensor,
                        file);
    }
  }
}

void Weights::add_file(const std::filesystem::path& path) {
  const auto file = std::make_shared<MappedFile>(path);
  const json header = parse_header(*file);
  uint64_t header_length = 0;
  std::memcpy(&header_length, file->data(), sizeof header_length);
  const uint64_t data_start = sizeof header_length + header_length;
  const uint64_t data_bytes = file->size() - data_start;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const std::string place = fmt::format("{}: tensor {}", file->path(), name);
    if (!entry.is_object()) throw_input_error("{}: expected an object", place);
    const auto dtype = parse_dtype(place, field<std::string>(place, entry, "dtype"));
    const auto shape = field<std::vector<int64_t>>(place, entry, "shape");
    const auto span = field<std::vector<uint64_t>>(place, entry, "data_offsets");
    const auto n_bytes =
        static_cast<uint64_t>(checked_numel(place, shape)) * at::elementSize(dtype);
    if (span.size() != 2 || span[0] > span[1] || span[1] > data_bytes) {
      throw_input_error(
          "{}: data_offsets [{}] lie outside the {} data bytes of the file: truncated "
          "or corrupted",
          place, fmt::join(span, ", "), data_bytes);
    }
    if (span[1] - span[0] != n_bytes) {
      throw_input_error("{}: shape [{}] needs {} bytes, data_offsets give {}", place,
                        fmt::join(shape, ", "), n_bytes, span[1] - span[0]);
    }
    const Entry tensor{file, dtype, shape, static_cast<int64_t>(data_start + span[0]),
                       static_cast<int64_t>(n_bytes)};
    if (!tensors_.emplace(name, tensor).second) throw_input_error("{}: stored twice", place);
  }
}

at::Tensor Weights::get(const std::string& name, const std::vector<int64_t>& shape,
                        at::ScalarType dtype, c10::Device device) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) throw_input_error("{}: tensor {} is missing", dir_.string(), name);
  const Entry& entry = it->second;
  if (entry.shape != shape) {
    throw_input_error("{}: tensor {}: expected shape [{}] from config.json, got [{}]",
                      entry.file->path(), name, fmt::join(shape, ", "),
                      fmt::join(entry.shape, ", "));
  }
  char* data = entry.file->data() + entry.offset;
  const auto options = at::TensorOptions(entry.dtype);
  at::Tensor stored;
  if (reinterpret_cast<uintptr_t>(data) % at::elementSize(entry.dtype) == 0) {
    stored = at::from_blob(
        data, shape, [file = entry.file](void*) {}, options);
  } else {  // tensors start only as aligned as the file makes them
    stored = at::empty(shape, options);
    std::memcpy(stored.mutable_data_ptr(), data, static_cast<size_t>(entry.n_bytes));
  }
  return stored.to(device, dtype);
}

int64_t Weights::n_parameters() const {
  int64_t sum = 0;
  for (const auto& [name, entry] : tensors_) {
    sum += entry.n_bytes / static_cast<int64_t>(at::elementSize(entry.dtype));
  }
  return sum;
}

int64_t Weights::n_bytes() const {
  int64_t sum = 0;
  for (const auto& [name, entry] : tensors_) sum += entry.n_bytes;
  return sum;
}

std::vector<std::string> Weights::names() const {
  std::vector<std::string> all;
  for (const auto& [name, entry] : tensors_) all.push_back(name);
  return all;
}

}  // namespace kvbench
