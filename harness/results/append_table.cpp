#include "harness/results/append_table.h"

#include <algorithm>

#include "harness/base/error.h"

namespace kvbench {
namespace {

using h5::Id;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kChunkBytes = 1 << 20;

Id uncached() {
  Id access(H5Pcreate(H5P_DATASET_ACCESS));
  H5Pset_chunk_cache(access.get(), 0, 0, 0);
  return access;
}

void set_rows(const h5::File& file, const std::string& name, hid_t dataset, hsize_t rows) {
  file.check(H5Dset_extent(dataset, &rows), name);
}

// The kernel may stop a write at a page's end when the process is killed, never inside a page.
void check_header_is_one_write(const h5::File& file, const std::string& name, hid_t dataset) {
  H5O_info_t info{};
  file.check(H5Oget_info2(dataset, &info, H5O_INFO_BASIC | H5O_INFO_HDR), name);
  KVB_CHECK(info.hdr.nchunks == 1 && info.addr % kPage + info.hdr.space.total <= kPage,
            "{}: {}: its object header is not one write inside one page", file.path().string(),
            name);
}

}  // namespace

void AppendTable::create(const h5::File& file, const std::string& name, const Layout& layout,
                         int64_t capacity, std::span<const char> records) {
  const hsize_t none = 0, most = static_cast<hsize_t>(std::max<int64_t>(capacity, 1));
  const hsize_t chunk = std::clamp<hsize_t>(kChunkBytes / layout.row_bytes(), 1, most);
  const Id properties(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_chunk(properties.get(), 1, &chunk);
  H5Pset_alloc_time(properties.get(), H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(properties.get(), H5D_FILL_TIME_NEVER);
  H5Pset_obj_track_times(properties.get(), 0);
  const Id space(H5Screate_simple(1, &none, &most));
  // Only this dataset takes the new format: a whole file of it refuses readers after a kill.
  file.check(H5Fset_libver_bounds(file.id(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST), name);
  const Id dataset = file.own(H5Dcreate2(file.id(), name.c_str(), layout.type().get(), space.get(),
                                         H5P_DEFAULT, properties.get(), uncached().get()),
                              name);
  // The first row makes HDF5 reserve the chunks of all rows; they stay when it goes.
  set_rows(file, name, dataset.get(), 1);
  set_rows(file, name, dataset.get(), records.size() / layout.row_bytes());
  if (!records.empty()) {
    file.check(
        H5Dwrite(dataset.get(), layout.type().get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, records.data()),
        name);
  }
  file.check(H5Fset_libver_bounds(file.id(), H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST), name);
  file.flush();
  check_header_is_one_write(file, name, dataset.get());
}

AppendTable::AppendTable(const h5::File& file, const std::string& name)
    : file_(&file),
      name_(name),
      dataset_(file.own(H5Dopen2(file.id(), name.c_str(), uncached().get()), name)),
      type_(file.own(H5Dget_type(dataset_.get()), name)),
      size_(h5::dims(file, name).at(0)) {}

void AppendTable::append(std::span<const char> record) {
  KVB_CHECK(record.size() == H5Tget_size(type_.get()), "{}: a record of {} bytes, expected {}",
            name_, record.size(), H5Tget_size(type_.get()));
  try {
    write(record);
  } catch (...) {
    const hsize_t before = static_cast<hsize_t>(size_);
    H5Dset_extent(dataset_.get(), &before);
    throw;
  }
  ++size_;
}

void AppendTable::write(std::span<const char> record) {
  set_rows(*file_, name_, dataset_.get(), static_cast<hsize_t>(size_) + 1);
  const hsize_t start = static_cast<hsize_t>(size_), one = 1;
  const Id target = file_->own(H5Dget_space(dataset_.get()), name_);
  file_->check(H5Sselect_hyperslab(target.get(), H5S_SELECT_SET, &start, nullptr, &one, nullptr),
               name_);
  const Id source(H5Screate_simple(1, &one, nullptr));
  file_->check(
      H5Dwrite(dataset_.get(), type_.get(), source.get(), target.get(), H5P_DEFAULT, record.data()),
      name_);
  file_->flush();
}

int64_t AppendTable::capacity(const h5::File& file, const std::string& name) {
  const Id dataset = file.own(H5Dopen2(file.id(), name.c_str(), H5P_DEFAULT), name);
  const Id space = file.own(H5Dget_space(dataset.get()), name);
  hsize_t rows = 0, most = 0;
  file.check(H5Sget_simple_extent_dims(space.get(), &rows, &most), name);
  return static_cast<int64_t>(most);
}

}  // namespace kvbench
