// What removing a unit does to the norm that reads the residual next.
//
// RMSNorm divides by the length of x, so without the unit's contribution v everything that the unit did not change
// grows by s = |x| / |x - v|, exactly. A gradient taken at x knows nothing of this large step; multiplying the unit's
// activations by s restores it. |x - v|^2 is kept at 1e-3 |x|^2 or more, which bounds s to 32.
#pragma once

#include "base/torch.h"
#include "model/matrix_product.h"
#include "model/weights.h"

namespace elastify {

// activations * s. x: residual after the sublayer's output was added, [batch, seq, hidden]; activations and the result:
// what entered down_proj, [batch, seq, neurons], or o_proj, [batch, seq, groups * group_width]. The result is float32,
// or float64 for float64 models.
torch::Tensor scaled_neurons(const torch::Tensor& activations, const torch::Tensor& x, const BlockWeights& block,
                             ProductType products = ProductType::kFloat32);
torch::Tensor scaled_groups(const torch::Tensor& activations, const torch::Tensor& x, const BlockWeights& block,
                            const ModelConfig& config, ProductType products = ProductType::kFloat32);

}  // namespace elastify
