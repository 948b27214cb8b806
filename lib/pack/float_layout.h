// How the artifact arranges matrices of floats that are not stored in rows (elrt/format.h, LAYOUT).
#pragma once

#include "base/torch.h"

namespace elastify {

// [outputs, inputs] -> [ceil(inputs / 32), outputs, 32], zero-padded: a level's inputs become a contiguous prefix.
torch::Tensor tile_inputs(const torch::Tensor& matrix);

// [outputs, inputs] -> [ceil(outputs / 32), inputs, 32], zero-padded: "columns".
torch::Tensor in_columns(const torch::Tensor& matrix);

}  // namespace elastify
