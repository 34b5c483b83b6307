#include "harness/base/safetensors.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "harness/base/error.h"
#include "harness/base/json_view.h"

namespace kvbench {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;         // the format's own limit
constexpr int64_t kMostElements = int64_t{1} << 56;  // their bytes are an int64_t, too

// Bits of an element of the format's types.
const std::map<std::string, int64_t>& stored_bits() {
  static const std::map<std::string, int64_t> all = {
      {"F64", 64},    {"F32", 32},    {"BF16", 16},   {"F16", 16},        {"I64", 64},
      {"I32", 32},    {"I16", 16},    {"I8", 8},      {"U8", 8},          {"BOOL", 8},
      {"U64", 64},    {"U32", 32},    {"U16", 16},    {"C64", 64},        {"F8_E4M3", 8},
      {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
      {"F6_E3M2", 6}, {"F4", 4}};
  return all;
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
  const auto type = stored_bits().find(dtype);
  if (type == stored_bits().end()) {
    if (numel / 8 > n_stored)
      tensor.fail(fmt::format("impossible shape [{}]", fmt::join(shape, ", ")));
    return;
  }
  const int64_t bits = numel * type->second;
  if (bits % 8 != 0 || bits / 8 != n_stored) {
    tensor.fail(fmt::format("shape [{}] needs {} bytes, data_offsets give {}",
                            fmt::join(shape, ", "), (bits + 7) / 8, n_stored));
  }
}

// The header's tensors, and where the data begin in the file of `size` bytes.
nlohmann::json parse_header(const SafetensorsFile& file, uint64_t size, uint64_t& data_start) {
  uint64_t length = 0;
  constexpr std::string_view kPointer = "version https://git-lfs";
  std::string begin(std::min<uint64_t>(size, kPointer.size()), ' ');
  file.read(0, begin.data(), static_cast<int64_t>(begin.size()));
  if (begin == kPointer) {
    throw_input_error(
        "{}: a Git LFS pointer instead of the weights; run git lfs pull in its folder",
        file.path());
  }
  if (size < sizeof length) {
    throw_input_error("{}: {} bytes are too few for a safetensors file", file.path(), size);
  }
  file.read(0, &length, sizeof length);  // little-endian, as this machine is
  if (length > kMaxHeader || length > size - sizeof length) {
    throw_input_error(
        "{}: its header claims {} bytes, the file has {}: truncated or not "
        "safetensors",
        file.path(), length, size);
  }
  const std::string place = file.path() + ": header";
  std::string text(length, ' ');
  file.read(sizeof length, text.data(), static_cast<int64_t>(length));
  nlohmann::json header = parse_json(text, place);
  if (!header.is_object()) JsonView(header, place).fail_type("a JSON object");
  data_start = sizeof length + length;
  return header;
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : path_(path.string()), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (fd_ < 0) throw_input_error("{}: cannot be read: {}", path_, std::strerror(errno));
  try {
    struct stat info {};
    if (::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
      throw_input_error("{}: not a regular file", path_);
    }
    const auto size = static_cast<uint64_t>(info.st_size);
    uint64_t data_start = 0;
    const nlohmann::json header = parse_header(*this, size, data_start);
    const auto data_bytes = static_cast<int64_t>(size - data_start);
    std::vector<Span> spans;
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") continue;
      const JsonView tensor(entry, path_, "tensor " + name);
      const std::string dtype = tensor.at("dtype").text();
      const auto shape = tensor.at("shape").integers(0, kMostElements);
      const Span span = read_span(tensor, data_bytes);
      check_size(tensor, dtype, shape, span.end - span.begin);
      spans.push_back(span);
      const auto offset = static_cast<int64_t>(data_start) + span.begin;
      tensors_.emplace(name, Tensor{dtype, shape, offset, span.end - span.begin});
    }
    check_filled(path_, std::move(spans), data_bytes);
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

SafetensorsFile::~SafetensorsFile() { ::close(fd_); }

void SafetensorsFile::read(int64_t offset, void* bytes, int64_t n_bytes) const {
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

}  // namespace kvbench
