#include "harness/results/layout.h"

#include <set>

namespace kvbench {
namespace {

using h5::Id;

Id member_type(Layout::Kind kind, size_t bytes) {
  if (kind == Layout::Kind::kInt64) return Id(H5Tcopy(H5T_NATIVE_INT64));
  if (kind == Layout::Kind::kDouble) return Id(H5Tcopy(H5T_NATIVE_DOUBLE));
  Id text(H5Tcopy(H5T_C_S1));
  H5Tset_size(text.get(), bytes);
  H5Tset_strpad(text.get(), H5T_STR_NULLPAD);
  H5Tset_cset(text.get(), H5T_CSET_UTF8);
  return text;
}

// Columns that files of earlier schema versions lack: they keep their defaults.
const std::set<std::string>& later_columns() {
  static const std::set<std::string> columns = {
      // since version 2
      "kv_bytes_end", "kv_bytes_full", "kv_bytes_logical", "peak_kv_bytes",
      // since version 3
      "sample_hash", "context_id", "source", "seed", "protocol", "metric", "group_id", "policy_id",
      "n_contexts", "repeat",
      // since version 4
      "grading", "words", "exact", "classes", "prediction_at", "references_at", "classes_at",
      "error_at", "cut_tokens",
      // since version 5
      "attended_mean", "attended_most",
      // since version 6
      "nll_full", "score_tokens", "prompt_tail", "needle_spans", "needle_kept", "needle_kept_at",
      "batch", "question_ms", "tpot_p90", "tokens_per_s", "weight_bytes", "cache_bytes",
      "read_bytes_per_s", "floor_ms", "cpu_joules", "gpu_joules", "peak_own_bytes"};
  return columns;
}

template <class Row>
bool may_be_missing(const std::string& column) {
  if (std::is_same_v<Row, LatencyRow> && column == "error") return true;
  const bool is_older = !std::is_same_v<Row, LatencyRow> &&
                        (column == "kv_bytes_full" || column == "kv_bytes_logical");
  return !is_older && later_columns().contains(column);
}

Id open_dataset(const h5::File& file, const std::string& name) {
  return file.own(H5Dopen2(file.id(), name.c_str(), H5P_DEFAULT), name);
}

size_t count_rows(const h5::File& file, const std::string& dataset) {
  const auto sizes = h5::dims(file, dataset);
  if (sizes.size() != 1) file.fail(dataset, "expected one dimension");
  return static_cast<size_t>(sizes[0]);
}

}  // namespace

void Layout::add(const std::string& name, Kind kind, size_t bytes) {
  fields_.push_back({name, kind, row_bytes_, bytes});
  row_bytes_ += bytes;
}

Id Layout::type() const {
  Id type(H5Tcreate(H5T_COMPOUND, row_bytes_));
  for (const auto& field : fields_) {
    const Id member = member_type(field.kind, field.bytes);
    KVB_CHECK(H5Tinsert(type.get(), field.name.c_str(), field.offset, member.get()) >= 0,
              "column {}: {}", field.name, h5::last_error());
  }
  return type;
}

Widths Layout::stored_widths(const h5::File& file, const std::string& dataset) {
  const Id stored = open_dataset(file, dataset);
  const Id type = file.own(H5Dget_type(stored.get()), dataset);
  if (H5Tget_class(type.get()) != H5T_COMPOUND) file.fail(dataset, "expected a compound type");
  const size_t row_bytes = H5Tget_size(type.get());
  if (row_bytes == 0) file.fail(dataset, "its rows have no size");
  Widths widths;
  for (int i = 0; i < H5Tget_nmembers(type.get()); ++i) {
    const Id member(H5Tget_member_type(type.get(), static_cast<unsigned>(i)));
    char* name = H5Tget_member_name(type.get(), static_cast<unsigned>(i));
    if (name == nullptr) file.fail(dataset, h5::last_error());
    const std::string column = name;
    H5free_memory(name);
    if (H5Tget_class(member.get()) != H5T_STRING) continue;
    if (H5Tis_variable_str(member.get()) > 0) {
      file.fail(dataset, "column " + column + ": expected texts of fixed width");
    }
    const size_t width = H5Tget_size(member.get());
    if (width == 0 || width > row_bytes) {
      file.fail(dataset,
                fmt::format("column {}: {} bytes in rows of {}", column, width, row_bytes));
    }
    widths[column] = width;
  }
  return widths;
}

template <class Row>
std::vector<Row> read_rows(const h5::File& file, const std::string& dataset) {
  const Layout layout = Layout::of<Row>(Layout::stored_widths(file, dataset));
  const Id stored = open_dataset(file, dataset);
  const Id stored_type = file.own(H5Dget_type(stored.get()), dataset);
  std::vector<Layout::Field> missing;
  for (const auto& field : layout.fields()) {
    if (H5Tget_member_index(stored_type.get(), field.name.c_str()) >= 0) continue;
    if (!may_be_missing<Row>(field.name)) {
      file.fail(dataset, "column " + field.name + " is missing");
    }
    missing.push_back(field);
  }
  // A number of rows is only a claim.
  const size_t n_rows = count_rows(file, dataset);
  if (n_rows > H5Dget_storage_size(stored.get()) / H5Tget_size(stored_type.get())) {
    file.fail(dataset, fmt::format("claims {} rows, more than it holds", n_rows));
  }
  std::vector<Row> rows(n_rows);
  std::vector<char> records(rows.size() * layout.row_bytes());
  file.check(
      H5Dread(stored.get(), layout.type().get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, records.data()),
      dataset);
  std::vector<char> defaults(layout.row_bytes());
  layout.pack(Row(), defaults);
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::span record(records.data() + i * layout.row_bytes(), layout.row_bytes());
    for (const auto& [name, kind, offset, bytes] : missing) {
      std::copy_n(defaults.data() + offset, bytes, record.data() + offset);
    }
    layout.unpack(record, rows[i]);
  }
  return rows;
}

template <class Row>
void write_rows(const h5::File& file, const std::string& dataset, const std::vector<Row>& rows) {
  Widths widths;
  for (const auto& row : rows) widen(row, widths);
  const Layout layout = Layout::of<Row>(widths);
  const auto records = pack_all(rows, layout);
  const hsize_t count = rows.size();
  const Id space(H5Screate_simple(1, &count, nullptr));
  const Id type = layout.type();
  const Id created = file.own(H5Dcreate2(file.id(), dataset.c_str(), type.get(), space.get(),
                                         H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                              dataset);
  file.check(H5Dwrite(created.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, records.data()),
             dataset);
}

template std::vector<SampleRow> read_rows(const h5::File&, const std::string&);
template std::vector<CellRow> read_rows(const h5::File&, const std::string&);
template std::vector<LatencyRow> read_rows(const h5::File&, const std::string&);
template std::vector<PlanRow> read_rows(const h5::File&, const std::string&);
template void write_rows(const h5::File&, const std::string&, const std::vector<CellRow>&);
template void write_rows(const h5::File&, const std::string&, const std::vector<PlanRow>&);

}  // namespace kvbench
