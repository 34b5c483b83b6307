// A policy as it was written: which scorer, which allocator, which parameters, what is protected.
// Names of parts and parameters are checked where the parts are made (policy.h); everything here
// keeps its place, so that those errors point into the file.
#pragma once

#include <string>
#include <vector>

#include "harness/base/params.h"

namespace kvbench {

// A scorer or an allocator.
struct PartSpec {
  std::string name;
  std::vector<Params::Given> params;  // in the order written
  std::string origin;                 // file, or what was typed on the command line
  int line = 0;                       // 0 = not in a file
};

// Eviction while the model decodes.
struct DecodeSpec {
  bool given = false;
  PartSpec scorer;                    // empty = the policy's own
  std::vector<Params::Given> params;  // when, interval, budget
};

struct PolicySpec {
  std::string name;                    // the label in results
  PartSpec scorer, allocator;          // empty when `full`
  PartSpec weighting;                  // optional, empty = none
  std::vector<Params::Given> protect;  // sink, recent
  std::vector<Params::Given> prefill;  // chunk, attend
  DecodeSpec decode;
  bool full = false;  // keeps everything
  // Where it is defined: configs/presets.yaml for a preset, wherever that was asked for.
  std::string origin;
  int line = 0;
};

}  // namespace kvbench
