// Thin owners of HDF5 objects. Every call that fails throws std::runtime_error with the file, the
// object and HDF5's own reason; HDF5 itself prints nothing. Debian's HDF5 is not thread-safe: use
// these from one thread at a time.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvbench::h5 {

// Owns one HDF5 id of any kind (file, group, dataset, space, type, attribute, property list).
class Id {
 public:
  Id() = default;
  explicit Id(hid_t id) : id_(id) {}
  Id(Id&& other) noexcept : id_(other.release()) {}
  Id& operator=(Id&& other) noexcept;
  ~Id();

  hid_t get() const { return id_; }
  // Closes now and reports failure, which the destructor cannot: 0 or more means closed.
  herr_t close();

 private:
  hid_t release();

  hid_t id_ = H5I_INVALID_HID;
};

enum class Mode { kRead, kAppend, kCreate };  // kAppend: read and write; kCreate: truncates

// An open file. Locking by HDF5 is off, so that a file can be read while it is being written;
// writers exclude each other by FileLock.
class File {
 public:
  File() = default;  // no file
  File(std::filesystem::path path, Mode mode);

  const std::filesystem::path& path() const { return path_; }
  hid_t id() const { return id_.get(); }
  void flush() const;
  void close();

  // These throw, naming this file and `object`, when HDF5 answered with a negative value.
  Id own(hid_t id, std::string_view object) const;
  void check(herr_t status, std::string_view object) const;
  [[noreturn]] void fail(std::string_view object, const std::string& reason) const;

 private:
  std::filesystem::path path_;
  Id id_;
};

// The reason of HDF5's latest failure: the innermost message of its error stack. The next HDF5
// call forgets it.
std::string last_error();

// ---- names --------------------------------------------------------------------------------------
bool exists(const File& file, const std::string& name);  // a link at this path, parents included
std::vector<std::string> list(const File& file, const std::string& group = "/");  // sorted names

// ---- arrays: T is int32_t, int64_t, uint8_t, float or double
// -------------------------------------
template <class T>
struct Array {
  std::vector<int64_t> dims;  // empty = scalar
  std::vector<T> values;      // row-major
};

// Writes a new dataset, compressed when it is large; groups in `name` are created. values.size() is
// the product of dims.
template <class T>
void write_array(const File& file, const std::string& name, const std::vector<int64_t>& dims,
                 std::span<const T> values);

// Reads a whole dataset. Refuses what could not be kept: another kind of data (a bool counts as an
// integer, an integer may be read as a float), an integer type wider than T, or a shape that claims
// more values than the file can hold.
template <class T>
Array<T> read_array(const File& file, const std::string& name);

std::vector<int64_t> dims(const File& file, const std::string& name);

// ---- scalar attributes
// ----------------------------------------------------------------------------
bool has_attribute(const File& file, const std::string& object, const std::string& name);
void write_attribute(const File& file, const std::string& object, const std::string& name,
                     const std::string& value);  // UTF-8, any length
void write_attribute(const File& file, const std::string& object, const std::string& name,
                     int64_t value);
void write_attribute(const File& file, const std::string& object, const std::string& name,
                     double value);

// T is std::string, int64_t or double.
template <class T>
T read_attribute(const File& file, const std::string& object, const std::string& name);

}  // namespace kvbench::h5
