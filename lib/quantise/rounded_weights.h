// A model with the weights that an artifact of some type will hold, in the model's own dtype: what recovery trains on
// when it shall repair quantisation too.
#pragma once

#include <string>

#include "model/weights.h"
#include "quantise/guide_pass.h"

namespace elastify {

// The blocks' matrices as `dtype` ("f32": as they are, "f16", "bf16", "q8_0", "q4_0", "iq4_nl") rounds them; everything
// else is shared with `weights`. `weights` is reordered and full: blocks of 32 inputs lie as in the artifact, so that a
// level's slice holds what the artifact holds. `text`: what rounding is guided by, as in pack; nullptr: nothing.
// `wider`: matrices that are Q8_0 where the type has four bits. Throws Error(kBadData) where the type cannot hold a
// weight.
ModelWeights round_weights(const ModelWeights& weights, const std::string& dtype, const RoundingText* text = nullptr,
                           const std::vector<std::string>& wider = {});

}  // namespace elastify
