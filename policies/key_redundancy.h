// How much the other keys resemble a key, which G-KV, R-KV and VaSE's R-KV mode rank down.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

enum class Redundancy {
  kTriton,  // G-KV's default (kernels/key_similarity/key_similarity.h): the newest of alike keys is
            // spared
  kRaw,     // R-KV's code, which G-KV has too: 1e-8 for 1e-6, and where nothing is alike to a key
            // its cosine to key 0 is left out, for the maximum of no index is 0 there
  kPlain,   // VaSE's: nothing is spared
};

// Of keys [H, T, d]: float32 [H, T], softmax over the tokens of the mean of a key's column in the
// cosine matrix, whose diagonal is 0.
at::Tensor key_redundancy(const at::Tensor& keys, Redundancy form);

}  // namespace kvbench
