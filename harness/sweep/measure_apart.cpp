#include <nlohmann/json.hpp>

#include "harness/base/error.h"
#include "harness/base/process.h"
#include "harness/sweep/measurement.h"

namespace kvbench {

// How a request is written: fields by name. (In the namespace: the library finds them there.)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Params::Given, key, text, line, file)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PartSpec, name, params, origin, line)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(DecodeSpec, given, scorer, params)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PolicySpec, name, scorer, allocator, weighting, protect, prefill,
                                   decode, full, origin, line)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LatencyInput, context, question, n_head, tail)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Measurement, model, dtype, device, threads, plugins, policy,
                                   ratio, input, decode_tokens, batch, warmup)

namespace {

using Json = nlohmann::json;

// nan is null in JSON.
std::string row_text(const LatencyRow& row) {
  Json columns;
  visit_columns(row, [&](const char* name, const auto& value) { columns[name] = value; });
  return columns.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

LatencyRow parse_row(const std::string& text) {
  const Json columns = Json::parse(text);
  LatencyRow row;
  visit_columns(row, [&](const char* name, auto& value) {
    const Json& column = columns.at(name);
    if (!column.is_null()) column.get_to(value);
  });
  return row;
}

}  // namespace

LatencyRow measure_apart(const Measurement& asked) {
  // Whatever has become of its file meanwhile, this is the program that runs now.
  const Finished finished = run_for_output({"/proc/self/exe", "measure"}, Json(asked).dump());
  LatencyRow row;
  if (finished.status == 0) return parse_row(finished.output);
  row.error = finished.signal != 0
                  ? fmt::format("its process was ended by signal {}", finished.signal)
                  : fmt::format("its process ended with status {}", finished.status);
  return row;
}

std::string answer_measurement(const std::string& asked) {
  LatencyRow row;
  try {
    row = measure(Json::parse(asked).get<Measurement>());
  } catch (...) {
    row.error = current_error();
  }
  return row_text(row);
}

}  // namespace kvbench
