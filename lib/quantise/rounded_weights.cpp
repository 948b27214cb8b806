#include "quantise/rounded_weights.h"

#include "base/error.h"
#include "quantise/quantise.h"

namespace elastify {
namespace {

torch::Tensor round_matrix(const torch::Tensor& matrix, const std::string& dtype) {
  const torch::Tensor plain = matrix.detach().to(torch::kCPU, torch::kFloat32).contiguous();
  const torch::Tensor rounded =
      dtype == "f16" ? plain.to(torch::kFloat16).to(torch::kFloat32)
                     : dequantised(plain, dtype == "q8_0" ? elrt::TensorType::kQ8_0 : elrt::TensorType::kQ4_0);
  if (!torch::isfinite(rounded).all().item<bool>())
    fail_data("finetune.base_dtype {}: a weight is beyond its range; use f32", dtype);
  return rounded.to(matrix.device(), matrix.scalar_type());
}

}  // namespace

ModelWeights round_weights(const ModelWeights& weights, const std::string& dtype) {
  ModelWeights rounded = weights;
  if (dtype == "f32") return rounded;
  for (BlockWeights& block : rounded.blocks) {
    for (const BlockTensor& matrix : block_matrices()) block.*matrix.field = round_matrix(block.*matrix.field, dtype);
  }
  return rounded;
}

}  // namespace elastify
