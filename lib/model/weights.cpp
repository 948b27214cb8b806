#include "model/weights.h"

#include "base/error.h"

namespace elastify {

LevelWidths full_widths(const ModelConfig& config) {
  const auto layers = static_cast<std::size_t>(config.num_layers);
  return {std::vector<std::int64_t>(layers, config.num_kv_heads),
          std::vector<std::int64_t>(layers, config.intermediate_size)};
}

BlockWeights load_block(const Checkpoint& checkpoint, std::int64_t layer, torch::Device device,
                        torch::ScalarType dtype) {
  BlockWeights block;
  for (const BlockTensor& part : block_tensors(checkpoint.config()))
    block.*part.field = checkpoint.finite_tensor(block_tensor_name(layer, part.name)).to(device, dtype);
  return block;
}

ModelWeights load_weights(const Checkpoint& checkpoint, torch::Device device, torch::ScalarType dtype) {
  ModelWeights weights;
  weights.config = checkpoint.config();
  weights.embedding = checkpoint.finite_tensor(kEmbeddingName).to(device, dtype);
  weights.final_norm = checkpoint.finite_tensor(kFinalNormName).to(device, dtype);
  weights.head =
      weights.config.tied_embeddings ? weights.embedding : checkpoint.finite_tensor(kHeadName).to(device, dtype);
  for (std::int64_t layer = 0; layer < weights.config.num_layers; ++layer) {
    weights.blocks.push_back(load_block(checkpoint, layer, device, dtype));
  }
  return weights;
}

BlockWeights slice_block(const BlockWeights& block, const ModelConfig& c, std::int64_t kv_groups,
                         std::int64_t neurons) {
  require(kv_groups >= 0 && kv_groups * c.head_dim <= block.k.size(0) && neurons >= 0 && neurons <= block.gate.size(0),
          "cannot slice a block of {} KV groups and {} neurons to {} and {}", block.k.size(0) / c.head_dim,
          block.gate.size(0), kv_groups, neurons);
  const BlockWidths widths = block_widths(c, kv_groups, neurons);
  BlockWeights sliced = block;
  for (const BlockTensor& part : block_table()) {
    torch::Tensor& tensor = sliced.*part.field;
    if (part.unit() != Unit::kNone && tensor.defined())
      tensor = tensor.narrow(part.unit_dimension(), 0, part.unit_extent(widths));
  }
  return sliced;
}

ModelWeights slice_weights(const ModelWeights& weights, const LevelWidths& widths) {
  ModelWeights sliced = weights;
  for (std::size_t layer = 0; layer < weights.blocks.size(); ++layer) {
    sliced.blocks[layer] =
        slice_block(weights.blocks[layer], weights.config, widths.kv_groups[layer], widths.neurons[layer]);
  }
  return sliced;
}

}  // namespace elastify
