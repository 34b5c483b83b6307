// Models and data sets of the Hugging Face Hub: what a cached one must hold, and how one gets
// there.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/base/data_sets.h"
#include "harness/config/model_spec.h"

namespace kvbench {

// Throws InputError with the command that fetches it when the model (of the hub) is not in the
// cache or its snapshot lacks config.json.
void check_cached(const ModelSpec& spec);

// Throws InputError with that command when the snapshot lacks a file of weights: model.safetensors,
// or one that the index names.
void check_cached_weights(const ModelSpec& spec);

// Downloads what the cache lacks of the model (setup.sh hub installs what does it, hub.py does it
// and shows its progress) and returns the snapshot's folder. Throws InputError with what to do when
// there is no network, no room, no such model or revision, or no right to it.
std::filesystem::path fetch_from_hub(const ModelSpec& spec);

struct CachedData {
  std::filesystem::path snapshot;  // in the hub's cache
  std::vector<std::string> files;  // of it, relative; empty = not all of them are there
};

// What the cache holds of the data set's files.
CachedData find_cached(const DataSet& set);

// As for models: downloads what the cache lacks of the data set's files.
CachedData fetch_from_hub(const DataSet& set);

}  // namespace kvbench
