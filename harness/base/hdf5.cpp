#include "harness/base/hdf5.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace kvbench::h5 {
namespace {

herr_t keep_first(unsigned n, const H5E_error2_t* error, void* out) {
  if (n == 0 && error->desc != nullptr) *static_cast<std::string*>(out) = error->desc;
  return 0;
}

Id access_properties() {
  Id properties(H5Pcreate(H5P_FILE_ACCESS));
  const hbool_t off = 0, ignore_when_disabled = 1;
  H5Pset_file_locking(properties.get(), off, ignore_when_disabled);
  // Objects of 512 bytes and more start on a page, and raw data is written row by row, not by 64
  // KiB windows: see append_table.h for what this buys.
  H5Pset_alignment(properties.get(), 512, 4096);
  H5Pset_meta_block_size(properties.get(), 0);
  H5Pset_sieve_buf_size(properties.get(), 0);
  return properties;
}

// A file that a full disk kept from being closed stays open inside HDF5, whose clean-up at exit
// then crashes the program after it has said what was wrong. Files are closed where they are used,
// so that nothing is left to that clean-up. Before the first call of HDF5, or it is too late.
[[maybe_unused]] const herr_t without_clean_up = H5dont_atexit();

Id open(const std::filesystem::path& path, Mode mode) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  const Id access = access_properties();
  const char* name = path.c_str();
  Id file(mode == Mode::kCreate
              ? H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, access.get())
              : H5Fopen(name, mode == Mode::kRead ? H5F_ACC_RDONLY : H5F_ACC_RDWR, access.get()));
  // Here, because closing `access` forgets the reason.
  if (file.get() < 0) throw std::runtime_error(fmt::format("{}: {}", path.string(), last_error()));
  return file;
}

template <class T>
hid_t native();
template <>
hid_t native<int32_t>() {
  return H5T_NATIVE_INT32;
}
template <>
hid_t native<int64_t>() {
  return H5T_NATIVE_INT64;
}
template <>
hid_t native<uint8_t>() {
  return H5T_NATIVE_UINT8;
}
template <>
hid_t native<float>() {
  return H5T_NATIVE_FLOAT;
}
template <>
hid_t native<double>() {
  return H5T_NATIVE_DOUBLE;
}

template <class T>
void check_readable(const File& file, const std::string& name, hid_t type) {
  const H5T_class_t kind = H5Tget_class(type);
  const bool integer = kind == H5T_INTEGER || kind == H5T_ENUM;
  if (!integer && (kind != H5T_FLOAT || std::is_integral_v<T>)) {
    file.fail(name, fmt::format("expected {}, found another type of data",
                                std::is_integral_v<T> ? "integers" : "numbers"));
  }
  if (std::is_integral_v<T> && H5Tget_size(type) > sizeof(T)) {
    file.fail(name, fmt::format("expected integers of at most {} bytes, found {}", sizeof(T),
                                H5Tget_size(type)));
  }
}

std::vector<int64_t> dims_of(const File& file, const std::string& name, hid_t dataset) {
  const Id space = file.own(H5Dget_space(dataset), name);
  const int rank = H5Sget_simple_extent_ndims(space.get());
  file.check(rank, name);
  std::vector<hsize_t> sizes(static_cast<size_t>(rank));
  file.check(H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr), name);
  return {sizes.begin(), sizes.end()};
}

// Throws when the product is no int64_t (sizes above that range are negative here).
int64_t product(const File& file, const std::string& name, const std::vector<int64_t>& dims) {
  int64_t product = 1;
  for (const int64_t size : dims) {
    if (size < 0 || __builtin_mul_overflow(product, size, &product)) {
      file.fail(name, fmt::format("impossible shape [{}]", fmt::join(dims, ", ")));
    }
  }
  return product;
}

// A shape is only a claim. What a file holds bounds what is allocated for it: its bytes, times what
// deflate can make of them. So values that were never written are refused, too.
void check_stored(const File& file, const std::string& name, hid_t dataset, int64_t n_values,
                  size_t value_bytes) {
  constexpr hsize_t kMostDeflated = 1032;
  hsize_t file_bytes = 0;
  file.check(H5Fget_filesize(file.id(), &file_bytes), name);
  const hsize_t stored = std::min(H5Dget_storage_size(dataset), file_bytes);
  if (value_bytes == 0) file.fail(name, "its values have no size");
  if (static_cast<hsize_t>(n_values) / kMostDeflated > stored / value_bytes) {
    file.fail(name, fmt::format("its shape claims {} values, the file holds {} bytes of them",
                                n_values, stored));
  }
}

Id text_type() {
  Id type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.get(), H5T_VARIABLE);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

void write_scalar(const File& file, const std::string& object, const std::string& name, hid_t type,
                  const void* value) {
  const std::string place = object + "@" + name;
  if (has_attribute(file, object, name)) {
    file.check(H5Adelete_by_name(file.id(), object.c_str(), name.c_str(), H5P_DEFAULT), place);
  }
  const Id space(H5Screate(H5S_SCALAR));
  const Id attribute =
      file.own(H5Acreate_by_name(file.id(), object.c_str(), name.c_str(), type, space.get(),
                                 H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
               place);
  file.check(H5Awrite(attribute.get(), type, value), place);
}

Id open_attribute(const File& file, const std::string& object, const std::string& name) {
  return file.own(
      H5Aopen_by_name(file.id(), object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT),
      object + "@" + name);
}

template <class T>
T read_number(const File& file, const std::string& object, const std::string& name) {
  const Id attribute = open_attribute(file, object, name);
  T value{};
  file.check(H5Aread(attribute.get(), native<T>(), &value), object + "@" + name);
  return value;
}

}  // namespace

Id& Id::operator=(Id&& other) noexcept {
  if (this != &other) {
    close();
    id_ = other.release();
  }
  return *this;
}

Id::~Id() { close(); }

herr_t Id::close() { return id_ < 0 ? 0 : H5Idec_ref(release()); }

hid_t Id::release() { return std::exchange(id_, H5I_INVALID_HID); }

File::File(std::filesystem::path path, Mode mode)
    : path_(std::move(path)), id_(open(path_, mode)) {}

void File::flush() const { check(H5Fflush(id(), H5F_SCOPE_GLOBAL), "/"); }

void File::close() { check(id_.close(), "/"); }

Id File::own(hid_t id, std::string_view object) const {
  if (id < 0) fail(object, last_error());
  return Id(id);
}

void File::check(herr_t status, std::string_view object) const {
  if (status < 0) fail(object, last_error());
}

void File::fail(std::string_view object, const std::string& reason) const {
  throw std::runtime_error(fmt::format("{}: {}: {}", path_.string(), object, reason));
}

std::string last_error() {
  std::string text = "unknown HDF5 error";
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &text);
  // Of "file write failed: time = ..., errno = 28, error message = '...', ..." only the message.
  const std::string_view system = "error message = '";
  const size_t start = text.find(system);
  if (start == std::string::npos) return text;
  const size_t begin = start + system.size();
  return text.substr(begin, text.find('\'', begin) - begin);
}

bool exists(const File& file, const std::string& name) {
  if (name == "/") return true;
  for (size_t slash = name.find('/', 1);; slash = name.find('/', slash + 1)) {
    const std::string part = name.substr(0, slash);
    const htri_t found = H5Lexists(file.id(), part.c_str(), H5P_DEFAULT);
    file.check(found, part);
    if (found == 0 || slash == std::string::npos) return found > 0;
  }
}

std::vector<std::string> list(const File& file, const std::string& group) {
  H5G_info_t info{};
  file.check(H5Gget_info_by_name(file.id(), group.c_str(), &info, H5P_DEFAULT), group);
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const auto by_index = [&](char* out, size_t size) {
      return H5Lget_name_by_idx(file.id(), group.c_str(), H5_INDEX_NAME, H5_ITER_INC, i, out, size,
                                H5P_DEFAULT);
    };
    const ssize_t length = by_index(nullptr, 0);
    file.check(length < 0 ? -1 : 0, group);
    std::string name(static_cast<size_t>(length), '\0');
    by_index(name.data(), name.size() + 1);
    names.push_back(std::move(name));
  }
  return names;
}

namespace {

// Arrays of 64 KiB and more are deflated, in chunks of whole rows of about 1 MiB.
hid_t compressed_storage(std::vector<hsize_t> chunk, size_t item_bytes) {
  constexpr hsize_t kLeast = 1 << 16, kMost = 1 << 20;
  const hid_t storage = H5Pcreate(H5P_DATASET_CREATE);
  hsize_t bytes = item_bytes;
  for (const hsize_t size : chunk) bytes *= size;
  if (chunk.empty() || bytes < kLeast) return storage;
  chunk[0] = std::clamp<hsize_t>(kMost / (bytes / chunk[0]), 1, chunk[0]);
  H5Pset_chunk(storage, static_cast<int>(chunk.size()), chunk.data());
  H5Pset_shuffle(storage);
  H5Pset_deflate(storage, 6);
  return storage;
}

}  // namespace

template <class T>
void write_array(const File& file, const std::string& name, const std::vector<int64_t>& dims,
                 std::span<const T> values) {
  const int64_t n_values = product(file, name, dims);
  if (n_values != static_cast<int64_t>(values.size())) {
    file.fail(name,
              fmt::format("{} values do not fill the {} of its shape", values.size(), n_values));
  }
  const std::vector<hsize_t> sizes(dims.begin(), dims.end());
  const Id space(sizes.empty()
                     ? H5Screate(H5S_SCALAR)
                     : H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr));
  const Id links(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(links.get(), 1);
  const Id storage(compressed_storage(sizes, sizeof(T)));
  const Id dataset = file.own(H5Dcreate2(file.id(), name.c_str(), native<T>(), space.get(),
                                         links.get(), storage.get(), H5P_DEFAULT),
                              name);
  file.check(H5Dwrite(dataset.get(), native<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()),
             name);
}

template <class T>
Array<T> read_array(const File& file, const std::string& name) {
  const Id dataset = file.own(H5Dopen2(file.id(), name.c_str(), H5P_DEFAULT), name);
  const Id type = file.own(H5Dget_type(dataset.get()), name);
  check_readable<T>(file, name, type.get());
  Array<T> array;
  array.dims = dims_of(file, name, dataset.get());
  const int64_t n_values = product(file, name, array.dims);
  check_stored(file, name, dataset.get(), n_values, H5Tget_size(type.get()));
  array.values.resize(static_cast<size_t>(n_values));
  file.check(
      H5Dread(dataset.get(), native<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, array.values.data()),
      name);
  return array;
}

std::vector<int64_t> dims(const File& file, const std::string& name) {
  const Id dataset = file.own(H5Dopen2(file.id(), name.c_str(), H5P_DEFAULT), name);
  return dims_of(file, name, dataset.get());
}

bool has_attribute(const File& file, const std::string& object, const std::string& name) {
  const htri_t found = H5Aexists_by_name(file.id(), object.c_str(), name.c_str(), H5P_DEFAULT);
  file.check(found, object + "@" + name);
  return found > 0;
}

void write_attribute(const File& file, const std::string& object, const std::string& name,
                     const std::string& value) {
  const char* text = value.c_str();
  write_scalar(file, object, name, text_type().get(), &text);
}

void write_attribute(const File& file, const std::string& object, const std::string& name,
                     int64_t value) {
  write_scalar(file, object, name, H5T_NATIVE_INT64, &value);
}

void write_attribute(const File& file, const std::string& object, const std::string& name,
                     double value) {
  write_scalar(file, object, name, H5T_NATIVE_DOUBLE, &value);
}

template <>
std::string read_attribute(const File& file, const std::string& object, const std::string& name) {
  const std::string place = object + "@" + name;
  const Id attribute = open_attribute(file, object, name);
  const Id type = file.own(H5Aget_type(attribute.get()), place);
  if (H5Tget_class(type.get()) != H5T_STRING) file.fail(place, "expected a text");
  if (H5Tis_variable_str(type.get()) > 0) {
    char* text = nullptr;
    file.check(H5Aread(attribute.get(), type.get(), &text), place);
    const std::string value = text == nullptr ? "" : text;
    H5free_memory(text);
    return value;
  }
  std::string value(H5Tget_size(type.get()), '\0');
  file.check(H5Aread(attribute.get(), type.get(), value.data()), place);
  value.resize(std::min(value.find('\0'), value.size()));
  return value;
}

template <>
int64_t read_attribute(const File& file, const std::string& object, const std::string& name) {
  return read_number<int64_t>(file, object, name);
}

template <>
double read_attribute(const File& file, const std::string& object, const std::string& name) {
  return read_number<double>(file, object, name);
}

#define KVB_ARRAY(T)                                                                         \
  template void write_array<T>(const File&, const std::string&, const std::vector<int64_t>&, \
                               std::span<const T>);                                          \
  template Array<T> read_array<T>(const File&, const std::string&)
KVB_ARRAY(int32_t);
KVB_ARRAY(int64_t);
KVB_ARRAY(uint8_t);
KVB_ARRAY(float);
KVB_ARRAY(double);

}  // namespace kvbench::h5
