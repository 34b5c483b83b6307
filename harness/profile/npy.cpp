#include "harness/profile/npy.h"

#include <fmt/ranges.h>

#include <charconv>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <regex>

#include "harness/base/error.h"
#include "harness/base/files.h"

namespace kvbench {
namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr size_t kMaxHeader = 10000;  // NumPy's own limit; longer ones exhaust std::regex
constexpr size_t kAlignment = 64;     // of the data; the header is filled up with blanks

template <class T>
std::vector<double> values_of(std::string_view bytes) {
  if (bytes.size() < sizeof(T)) return {};  // nothing is not even an address
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return {values.begin(), values.end()};
}

}  // namespace

void write_npy(const std::filesystem::path& file, const h5::Array<double>& array) {
  std::string header = fmt::format("{{'descr': '<f8', 'fortran_order': False, 'shape': ({},), }}",
                                   fmt::join(array.dims, ", "));
  constexpr size_t kBefore = 10;  // magic, version, length of the header
  header.resize((kBefore + header.size() + kAlignment) / kAlignment * kAlignment - kBefore, ' ');
  header.back() = '\n';
  std::ofstream out(file, std::ios::binary);
  out.write(kMagic, 6);
  const char version_and_length[] = {1, 0, static_cast<char>(header.size() & 0xff),
                                     static_cast<char>(header.size() >> 8)};
  out.write(version_and_length, sizeof(version_and_length));
  out << header;
  out.write(reinterpret_cast<const char*>(array.values.data()),
            static_cast<std::streamsize>(array.values.size() * sizeof(double)));
  out.close();
  if (!out) throw_input_error("{}: cannot be written", file.string());
}

h5::Array<double> read_npy(const std::filesystem::path& file) {
  const std::string bytes = read_file(file);
  const auto refuse = [&](const std::string& what) {
    throw_input_error("{}: {}", file.string(), what);
  };
  if (bytes.size() < 12 || bytes.compare(0, 6, kMagic) != 0) refuse("is not a NumPy file");
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(bytes[i])); };
  // Version 1 has two bytes of length, later ones four.
  const size_t start = bytes[6] == 1 ? 10 : 12;
  const size_t length =
      byte(8) | byte(9) << 8 | (start == 12 ? byte(10) << 16 | byte(11) << 24 : 0);
  if (length > bytes.size() - start) refuse("its header is cut");
  if (length > kMaxHeader) refuse(fmt::format("its header is longer than {} bytes", kMaxHeader));
  const std::string header = bytes.substr(start, length);
  const std::string line = header.substr(0, header.find('\n'));  // for a message of one line
  std::smatch type, shape;
  static const std::regex kType("'descr':\\s*'<f([48])'"), kOrder("'fortran_order':\\s*False"),
      kShape("'shape':\\s*\\(([0-9, ]*)\\)"), kNumber("[0-9]+");
  if (!std::regex_search(header, type, kType) || !std::regex_search(header, kOrder) ||
      !std::regex_search(header, shape, kShape)) {
    refuse("expected little-endian float32 or float64 in C order, found " +
           line.substr(0, line.find_last_not_of(' ') + 1));
  }
  h5::Array<double> array;
  const std::string dims = shape[1];
  const std::string_view data = std::string_view(bytes).substr(start + length);
  const size_t size = type[1] == "4" ? sizeof(float) : sizeof(double);
  size_t n_bytes = size;
  for (std::sregex_iterator it(dims.begin(), dims.end(), kNumber), end; it != end; ++it) {
    const std::string text = it->str();
    int64_t dim = 0;
    const auto status = std::from_chars(text.data(), text.data() + text.size(), dim).ec;
    if (status != std::errc() || __builtin_mul_overflow(n_bytes, dim, &n_bytes)) {
      refuse(fmt::format("impossible shape ({})", dims));
    }
    array.dims.push_back(dim);
  }
  if (data.size() != n_bytes) {
    refuse(fmt::format("shape ({}) needs {} bytes, found {}", dims, n_bytes, data.size()));
  }
  array.values = size == sizeof(float) ? values_of<float>(data) : values_of<double>(data);
  return array;
}

}  // namespace kvbench
