#include "policies/reconstruction.h"

namespace kvbench {

at::Tensor reconstructed(const LayerView& layer, const std::string& name) {
  if (!layer.reconstruction.defined()) {
    throw_input_error("{}: ranks a whole context by a second pass over it, and there was none",
                      name);
  }
  return layer.reconstruction;
}

}  // namespace kvbench
