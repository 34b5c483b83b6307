// What the tests of allocators share.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "policies/allocator.h"

namespace kvbench {

inline std::unique_ptr<Allocator> make_allocator(const std::string& name,
                                                 std::vector<Params::Given> given = {}) {
  Params params("allocator " + name, "", std::move(given));
  auto made = Registry<Allocator>::instance().find(name).make(params);
  params.finish();
  return made;
}

inline LayerBudget budget_of(const at::Tensor& scores, double ratio, int64_t layer = 0,
                             int64_t n_layers = 1) {
  return {layer, n_layers, ratio, scores};
}

// The same where only the shape matters: H heads, T tokens.
inline LayerBudget budget_of(int64_t n_heads, int64_t n_tokens, double ratio, int64_t layer = 0,
                             int64_t n_layers = 1) {
  return budget_of(at::zeros({n_heads, n_tokens}), ratio, layer, n_layers);
}

}  // namespace kvbench
