// The official LU-KV layout of a table: a NumPy file, [99, L, H] in C order.
#pragma once

#include <filesystem>

#include "harness/base/hdf5.h"

namespace kvbench {

// Version 1.0 of the format, float64.
void write_npy(const std::filesystem::path& file, const h5::Array<double>& array);

// float32 or float64, little-endian, C order. Throws InputError for anything else.
h5::Array<double> read_npy(const std::filesystem::path& file);

}  // namespace kvbench
