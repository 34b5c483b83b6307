// From a model's specification to what a run needs of it: one call, before any weight is loaded.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>

#include "harness/config/model_spec.h"
#include "harness/model/model_config.h"

namespace kvbench {

// Makes a folder that set-up can make when it is missing (runs it, which shows its progress). One
// of the hub is only looked for (hub_fetch.h): a run downloads nothing of gigabytes unasked. Throws
// InputError when the folder is missing and cannot be made.
void ensure_model(const ModelSpec& spec);

struct OpenModel {
  ModelSpec spec;
  ModelConfig config;
  at::ScalarType dtype;
  c10::Device device;
};

// Reads the folder's configuration (made first as above when it is missing) and finds the device
// (device.h). The dtype is the specification's, else the one that the weights are stored in. Throws
// InputError.
OpenModel open_model(const ModelSpec& spec, const std::string& device);

// Reads the headers of the weights. Throws InputError for missing or truncated ones: the last check
// before they are loaded.
void check_weights(const OpenModel& model);

std::string dtype_name(at::ScalarType dtype);

}  // namespace kvbench
