// What a config.json says about RoPE, in either form that transformers writes.
#pragma once

#include "harness/base/json_view.h"
#include "harness/model/model_config.h"

namespace kvbench {

// Sets rope_theta, rope_scaling and local_rope_theta, and stretches max_positions (which must hold
// max_position_embeddings) where the scaling does. Form 4 of transformers has rope_theta beside
// rope_scaling, form 5 both in rope_parameters, for Gemma 3 by kind of layer. What is said twice
// must be the same. Throws InputError naming both values where it is not, and for scalings that
// we do not have.
void read_rope(const JsonView& config, ModelConfig& out);

// As config.json spells it: default, linear, dynamic, yarn, llama3.
const char* rope_type_name(RopeScaling::Type type);

}  // namespace kvbench
