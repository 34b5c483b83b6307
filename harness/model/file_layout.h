// What the weights of a model folder add to its config.json: which of its statements hold.
#pragma once

#include "harness/model/model_config.h"

namespace kvbench {

class Weights;

// Sets weight_prefix, head_name, tied_embeddings, qkv_bias, output_bias and mlp_bias by the names
// that the file holds, as transformers 5.2 would load them where that is no guess:
// - Biases that the file has are used, whatever attention_bias or mlp_bias say; those that it lacks
//   in every layer are not used. A file with some of them is refused by the missing one's name.
// - A head that the file has is used, also where tie_word_embeddings is true; where it is missing
//   and the embeddings are not tied the file is refused.
// Also refuses, by a tensor's name, needed weights that are stored as something to be read by a
// quantiser: in an integer or 8 bit type, or with scales or packed codes beside them. Reads no
// weights. Throws InputError.
void resolve_by_file(ModelConfig& config, const Weights& weights);

}  // namespace kvbench
