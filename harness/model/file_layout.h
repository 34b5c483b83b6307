// What the weights of a model folder add to its config.json: which of its statements hold.
#pragma once

#include <string>
#include <vector>

#include "harness/model/model_config.h"

namespace kvbench {

class Weights;

struct TensorShape {
  std::string name;
  std::vector<int64_t> shape;
};

// The tensors that a model of this config is made of, named as its file names them; of a config
// that resolve_by_file has seen.
std::vector<TensorShape> needed_tensors(const ModelConfig& config);

// Sets the names, tied_embeddings, the three bias flags and an empty stored_dtype by what the file
// holds, and checks that it holds all needed tensors, of the right shape and as numbers. Reads
// headers only.
// - The text part may lie in a larger model (Gemma 3 with pictures); other tensors are ignored.
// - Biases that the file has in every layer are used, those that it has in none are not, whatever
//   attention_bias and mlp_bias say (transformers would drop the first and set the second to 0).
// - A head in the file is used, also where tie_word_embeddings is true (as transformers 5 does).
//   One that is neither there nor tied is refused: transformers would make a random one.
// - Quantised weights are refused: 8 bit or integer types, or scales and codes beside a weight.
// Throws InputError naming the tensor.
void resolve_by_file(ModelConfig& config, const Weights& weights);

}  // namespace kvbench
