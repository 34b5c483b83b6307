// The parameter `gate` of a scorer with learned gates.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "policies/scorer.h"

namespace kvbench {

template <class Gates>
class GateOption {
 public:
  GateOption(Params& p, const char* doc) : scorer_(p.owner()) {
    std::filesystem::path file;
    p.file("gate", file, doc);
    if (!file.empty()) gates_ = std::make_unique<Gates>(file);
  }

  // Throws InputError without a file.
  const Gates& operator*() const {
    if (gates_) return *gates_;
    throw_input_error(
        "{}: gate: is missing: a safetensors file of gates for the model "
        "(`kvbench train-gate` makes one)",
        scorer_);
  }
  const Gates* operator->() const { return &**this; }

 private:
  std::string scorer_;
  std::unique_ptr<Gates> gates_;
};

}  // namespace kvbench
