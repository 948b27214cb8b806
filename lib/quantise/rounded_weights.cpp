#include "quantise/rounded_weights.h"

#include <optional>

#include "base/error.h"
#include "quantise/quantise.h"

namespace elastify {
namespace {

torch::Tensor plain(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.detach().to(torch::kCPU, torch::kFloat32).contiguous() : tensor;
}

torch::Tensor round_matrix(const torch::Tensor& matrix, elrt::TensorType type, const MatrixGuide& guide) {
  const torch::Tensor values = plain(matrix);
  const torch::Tensor rounded =
      elrt::is_quantised(type) ? dequantised(values, type, guide) : values.to(float_type_of(type)).to(torch::kFloat32);
  if (!torch::isfinite(rounded).all().item<bool>())
    fail_data("finetune.base_dtype {}: a weight is beyond its range; use f32", elrt::type_name(type));
  return rounded.to(matrix.device(), matrix.scalar_type());
}

// The block in float32 on the CPU.
BlockWeights plain_block(const BlockWeights& block) {
  BlockWeights made = block;
  for (const BlockTensor& tensor : block_table()) made.*tensor.field = plain(block.*tensor.field);
  return made;
}

}  // namespace

ModelWeights round_weights(const ModelWeights& weights, const std::string& dtype, const RoundingText* text,
                           const std::vector<std::string>& wider) {
  ModelWeights rounded = weights;
  const elrt::TensorType type = type_of(dtype);
  if (type == elrt::TensorType::kF32) return rounded;
  std::optional<GuidePass> pass;
  if (text != nullptr && elrt::is_quantised(type)) {
    pass.emplace(weights.config, plain(weights.embedding), *text, [&weights](std::int64_t layer) {
      return plain_block(weights.blocks[static_cast<std::size_t>(layer)]);
    });
  }
  for (std::size_t layer = 0; layer < rounded.blocks.size(); ++layer) {
    BlockWeights& block = rounded.blocks[layer];
    for (std::size_t i = 0; i < block_matrices().size(); ++i) {
      const BlockTensor& matrix = block_matrices()[i];
      const MatrixGuide guide = pass ? pass->at(static_cast<std::int64_t>(layer)).of(matrix) : MatrixGuide{};
      block.*matrix.field = round_matrix(block.*matrix.field, matrix_type(dtype, wider, i), guide);
    }
  }
  return rounded;
}

}  // namespace elastify
