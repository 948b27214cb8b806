// Scaled rotary frequencies as one divisor for each pair of dimensions, as GGUF files hold them.
#pragma once

#include "base/torch.h"
#include "checkpoint/model_config.h"

namespace elastify {

// [turned / 2] float32: what each pair's frequency is divided by. Undefined where nothing is scaled, or by the text's
// length (longrope).
torch::Tensor rope_factors(const ModelConfig& config);

// The scaling with these factors, of those that a Hugging Face configuration can say: linear, or llama3 with the
// published low and high frequency factors (1 and 4). kNone where it is none of them.
RopeScaling scaling_of(const ModelConfig& config, const torch::Tensor& factors);

}  // namespace elastify
