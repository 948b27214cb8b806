// Contextual sparsity (Deja Vu, Liu et al. 2023) with an oracle in place of its predictors: an upper bound.
#pragma once

#include "model/decoder.h"

namespace elastify {

// For every token and layer, only the `kept` neurons with the largest |h_j| |W_down,j| stay.
UnitTap contextual_tap(const ModelWeights& weights, std::int64_t kept);

// Neurons a layer may use where attention is whole and `level` percent of the blocks' weights are read for a token;
// below 1: attention alone exceeds the level.
std::int64_t contextual_neurons(const ModelConfig& config, std::int64_t level);

}  // namespace elastify
