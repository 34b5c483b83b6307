#include "harness/model/safetensors.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <set>

#include "harness/base/error.h"
#include "harness/base/json_view.h"
#include "harness/model/model_folder.h"

namespace kvbench {

// A file open for reading. Not mapped: pages of a mapped file count as this process's memory.
class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& path)
      : path_(path.string()), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) throw_input_error("{}: cannot be read: {}", path_, std::strerror(errno));
    struct stat info {};
    if (::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
      ::close(fd_);
      throw_input_error("{}: not a regular file", path_);
    }
    size_ = static_cast<uint64_t>(info.st_size);
  }
  ~OpenFile() { ::close(fd_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }

  // Fills `bytes` from `offset` on. Throws InputError when the file ends before (it was cut since).
  void read(int64_t offset, void* bytes, int64_t n_bytes) const {
    auto* out = static_cast<char*>(bytes);
    while (n_bytes > 0) {
      const ssize_t n = ::pread(fd_, out, static_cast<size_t>(n_bytes), offset);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        throw_input_error("{}: cannot be read at byte {}: {}", path_, offset,
                          n == 0 ? "the file ends there" : std::strerror(errno));
      }
      out += n;
      offset += n;
      n_bytes -= n;
    }
  }

 private:
  std::string path_;
  int fd_;
  uint64_t size_ = 0;
};

namespace {

constexpr uint64_t kMaxHeader = 100'000'000;         // the format's own limit
constexpr int64_t kMostElements = int64_t{1} << 56;  // their bytes are an int64_t, too

// The format's types: bits of an element, and what LibTorch calls it where we read it.
struct StoredType {
  int64_t bits;
  std::optional<at::ScalarType> read_as;
};

const std::map<std::string, StoredType>& stored_types() {
  static const std::map<std::string, StoredType> all = {{"F64", {64, at::kDouble}},
                                                        {"F32", {32, at::kFloat}},
                                                        {"BF16", {16, at::kBFloat16}},
                                                        {"F16", {16, at::kHalf}},
                                                        {"I64", {64, at::kLong}},
                                                        {"I32", {32, at::kInt}},
                                                        {"I16", {16, at::kShort}},
                                                        {"I8", {8, at::kChar}},
                                                        {"U8", {8, at::kByte}},
                                                        {"BOOL", {8, at::kBool}},
                                                        {"U64", {64, {}}},
                                                        {"U32", {32, {}}},
                                                        {"U16", {16, {}}},
                                                        {"C64", {64, {}}},
                                                        {"F8_E4M3", {8, {}}},
                                                        {"F8_E5M2", {8, {}}},
                                                        {"F8_E8M0", {8, {}}},
                                                        {"F8_E4M3FNUZ", {8, {}}},
                                                        {"F8_E5M2FNUZ", {8, {}}},
                                                        {"F6_E2M3", {6, {}}},
                                                        {"F6_E3M2", {6, {}}},
                                                        {"F4", {4, {}}}};
  return all;
}

std::optional<at::ScalarType> read_as(const std::string& dtype) {
  const auto it = stored_types().find(dtype);
  return it == stored_types().end() ? std::nullopt : it->second.read_as;
}

// Number of elements, or an error when the product leaves the range of sane sizes.
int64_t checked_numel(const JsonView& tensor, const std::vector<int64_t>& shape) {
  int64_t numel = 1;
  for (const auto size : shape) {
    if (__builtin_mul_overflow(numel, size, &numel) || numel > kMostElements) {
      tensor.fail(fmt::format("impossible shape [{}]", fmt::join(shape, ", ")));
    }
  }
  return numel;
}

struct Span {
  int64_t begin, end;  // bytes behind the header

  auto operator<=>(const Span&) const = default;
};

Span read_span(const JsonView& tensor, int64_t data_bytes) {
  const JsonView stored = tensor.at("data_offsets");
  if (stored.size() != 2) stored.fail_type("two offsets");
  const Span span{stored[0].integer(0, INT64_MAX), stored[1].integer(0, INT64_MAX)};
  if (span.begin > span.end || span.end > data_bytes) {
    stored.fail(
        fmt::format("[{}, {}] lies outside the {} data bytes of the file: truncated or corrupted",
                    span.begin, span.end, data_bytes));
  }
  return span;
}

// The format's own rule: the tensors fill the data without holes, overlaps or a rest. Bytes that no
// tensor names are a sign of another writer's mistake, and of weights that are not all there.
void check_filled(const std::string& path, std::vector<Span> spans, int64_t data_bytes) {
  std::sort(spans.begin(), spans.end());
  int64_t end = 0;
  for (const Span& span : spans) {
    if (span.begin != end) {
      throw_input_error("{}: corrupted: data bytes {} to {} belong to {}", path,
                        std::min(end, span.begin), std::max(end, span.begin),
                        span.begin > end ? "no tensor" : "two tensors");
    }
    end = span.end;
  }
  if (end != data_bytes) {
    throw_input_error("{}: corrupted: {} bytes follow the last tensor", path, data_bytes - end);
  }
}

// Bytes of a tensor, whole ones also for types of 4 and 6 bits. Of a type that the format got after
// this was written only its place in the file can be checked, and that elements have a bit each.
void check_size(const JsonView& tensor, const std::string& dtype, const std::vector<int64_t>& shape,
                int64_t n_stored) {
  const int64_t numel = checked_numel(tensor, shape);
  const auto type = stored_types().find(dtype);
  if (type == stored_types().end()) {
    if (numel / 8 > n_stored)
      tensor.fail(fmt::format("impossible shape [{}]", fmt::join(shape, ", ")));
    return;
  }
  const int64_t bits = numel * type->second.bits;
  if (bits % 8 != 0 || bits / 8 != n_stored) {
    tensor.fail(fmt::format("shape [{}] needs {} bytes, data_offsets give {}",
                            fmt::join(shape, ", "), (bits + 7) / 8, n_stored));
  }
}

struct Header {
  nlohmann::json tensors;
  uint64_t data_start;  // in the file
};

Header parse_header(const OpenFile& file) {
  uint64_t length = 0;
  constexpr std::string_view kPointer = "version https://git-lfs";
  std::string begin(std::min<uint64_t>(file.size(), kPointer.size()), ' ');
  file.read(0, begin.data(), static_cast<int64_t>(begin.size()));
  if (begin == kPointer) {
    throw_input_error(
        "{}: a Git LFS pointer instead of the weights; run git lfs pull in its folder",
        file.path());
  }
  if (file.size() < sizeof length) {
    throw_input_error("{}: {} bytes are too few for a safetensors file", file.path(), file.size());
  }
  file.read(0, &length, sizeof length);  // little-endian, as this machine is
  if (length > kMaxHeader || length > file.size() - sizeof length) {
    throw_input_error(
        "{}: its header claims {} bytes, the file has {}: truncated or not "
        "safetensors",
        file.path(), length, file.size());
  }
  const std::string place = file.path() + ": header";
  std::string text(length, ' ');
  file.read(sizeof length, text.data(), static_cast<int64_t>(length));
  nlohmann::json header = parse_json(text, place);
  if (!header.is_object()) JsonView(header, place).fail_type("a JSON object");
  return {std::move(header), sizeof length + length};
}

}  // namespace

Weights::Weights(const std::filesystem::path& model_dir) : dir_(model_dir) {
  if (model_dir.extension() == ".safetensors") {
    add_file(model_dir, nullptr);
    return;
  }
  const auto single = model_dir / "model.safetensors";
  const auto index = model_dir / "model.safetensors.index.json";
  // transformers looks for it first, too. A link to nothing is a download that did not end.
  if (std::filesystem::exists(single) || std::filesystem::is_symlink(single)) {
    add_file(single, nullptr);
    return;
  }
  if (!std::filesystem::exists(index)) {
    throw_input_error("{}: does not exist, nor does model.safetensors.index.json; {}",
                      single.string(), describe_weight_files(model_dir));
  }
  const nlohmann::json content = read_json(index);
  const JsonView weight_map = JsonView(content, index.string()).at("weight_map");
  if (!weight_map.value().is_object()) weight_map.fail_type("an object of tensor: file");
  std::map<std::string, std::set<std::string>> tensors_of;
  for (const auto& [tensor, value] : weight_map.value().items()) {
    const std::string file = weight_map.at(tensor).text();
    // An untrusted name must not lead out of the folder.
    if (std::filesystem::path(file).filename() != file || file.empty() || file == "..") {
      weight_map.fail(fmt::format("\"{}\" is not a plain file name", file));
    }
    tensors_of[file].insert(tensor);
  }
  for (const auto& [file, tensors] : tensors_of) {
    add_file(model_dir / file, &tensors);
    for (const auto& tensor : tensors) {
      if (!has(tensor)) {
        weight_map.fail(fmt::format("names tensor {} in {}, which does not hold it", tensor, file));
      }
    }
  }
}

void Weights::add_file(const std::filesystem::path& path, const std::set<std::string>* wanted) {
  const auto file = std::make_shared<OpenFile>(path);
  const Header header = parse_header(*file);
  const auto data_bytes = static_cast<int64_t>(file->size() - header.data_start);
  std::vector<Span> spans;
  for (const auto& [name, entry] : header.tensors.items()) {
    if (name == "__metadata__") continue;
    const JsonView tensor(entry, file->path(), "tensor " + name);
    const std::string dtype = tensor.at("dtype").text();
    const auto shape = tensor.at("shape").integers(0, kMostElements);
    const Span span = read_span(tensor, data_bytes);
    check_size(tensor, dtype, shape, span.end - span.begin);
    spans.push_back(span);
    if (wanted != nullptr && !wanted->contains(name)) continue;
    const auto offset = static_cast<int64_t>(header.data_start) + span.begin;
    tensors_.emplace(name, Entry{file, dtype, shape, offset, span.end - span.begin});
  }
  check_filled(file->path(), std::move(spans), data_bytes);
}

void Weights::fail(const std::string& what) const {
  throw_input_error("{}: {}", dir_.string(), what);
}

const Weights::Entry& Weights::find(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) fail(fmt::format("tensor {} is missing", name));
  return it->second;
}

void Weights::check(const std::string& name, at::IntArrayRef shape) const {
  const Entry& entry = find(name);
  const auto type = read_as(entry.dtype);
  if (!type || !at::isFloatingType(*type)) {
    throw_input_error(
        "{}: tensor {}: expected F64, F32, BF16 or F16, got {}: quantised weights are not "
        "supported; use the float16, bfloat16 or float32 checkpoint",
        entry.file->path(), name, entry.dtype);
  }
  check_shape(name, entry, shape);
}

void Weights::check_shape(const std::string& name, const Entry& entry, at::IntArrayRef shape) {
  if (entry.shape == shape) return;
  throw_input_error("{}: tensor {}: expected shape [{}] from config.json, got [{}]",
                    entry.file->path(), name, fmt::join(shape, ", "), fmt::join(entry.shape, ", "));
}

std::string Weights::float_dtype(const std::string& name) const {
  const std::string& dtype = tensors_.at(name).dtype;
  return dtype == "BF16" ? "bfloat16" : dtype == "F16" ? "float16" : "float32";
}

at::Tensor Weights::get(const std::string& name, const std::vector<int64_t>& shape,
                        at::ScalarType dtype, c10::Device device) const {
  check_shape(name, find(name), shape);  // an untrusted size is no reason to ask for memory
  at::Tensor tensor = at::empty(shape, at::TensorOptions(dtype).device(device));
  read(name, tensor);
  return tensor;
}

void Weights::read(const std::string& name, const at::Tensor& into) const {
  const Entry& entry = find(name);
  const auto stored = read_as(entry.dtype);
  if (!stored || at::isFloatingType(into.scalar_type())) check(name, into.sizes());
  check_shape(name, entry, into.sizes());
  KVB_CHECK(into.is_contiguous(), "tensor {} is read into a strided one", name);
  if (into.is_cpu() && into.scalar_type() == *stored) {
    entry.file->read(entry.offset, into.mutable_data_ptr(), entry.n_bytes);
    return;
  }
  buffer_.resize(kBufferBytes);
  const auto size = static_cast<int64_t>(at::elementSize(*stored));
  const int64_t most = kBufferBytes / size;
  const at::Tensor flat = into.view({-1}), buffer = at::from_blob(buffer_.data(), {most}, *stored);
  for (int64_t first = 0; first < flat.numel(); first += most) {
    const int64_t n = std::min(most, flat.numel() - first);
    entry.file->read(entry.offset + first * size, buffer_.data(), n * size);
    flat.narrow(0, first, n).copy_(buffer.narrow(0, 0, n));
  }
}

int64_t Weights::n_parameters() const {
  int64_t sum = 0;
  for (const auto& [name, entry] : tensors_) {
    sum += std::accumulate(entry.shape.begin(), entry.shape.end(), int64_t{1}, std::multiplies<>());
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
