// A model with the weights that an artifact of some type will hold, in the model's own dtype: what recovery trains on
// when it shall repair quantisation too.
#pragma once

#include <string>

#include "model/weights.h"

namespace elastify {

// The blocks' matrices as `dtype` ("f32": as they are, "f16", "q8_0", "q4_0") rounds them; everything else is shared
// with `weights`. `weights` is reordered and full: blocks of 32 inputs lie as in the artifact, so that a level's slice
// holds what the artifact holds. Throws Error(kBadData) where the type cannot hold a weight.
ModelWeights round_weights(const ModelWeights& weights, const std::string& dtype);

}  // namespace elastify
