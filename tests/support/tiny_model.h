// Random decoders of a few thousand weights, for tests that need a model and no checkpoint.
#pragma once

#include <cstdint>

#include "model/weights.h"

namespace elastify_test {

struct TinyShape {
  std::int64_t vocab = 32, hidden = 16, neurons = 48, layers = 2, heads = 4, kv_heads = 2, head_dim = 4, positions = 64;
  bool qkv_bias = false, qk_norm = false, tied = true;
};

elastify::ModelConfig tiny_config(const TinyShape& shape);

// Weights from N(0, 1/inputs), norms near 1, embedding from N(0, 1): activations of order one, so that every unit
// matters. On the CPU; equal arguments give equal weights.
elastify::ModelWeights tiny_model(const TinyShape& shape = {}, std::uint64_t seed = 1,
                                  torch::ScalarType dtype = torch::kFloat32);

}  // namespace elastify_test
