// Where each tensor of a block (elrt/block_tensors.h) is kept in memory: what binds, counts and gives back walks this
// list.
#pragma once

#include <iterator>
#include <string_view>

#include "elrt/block_tensors.h"
#include "model/level_view.hpp"
#include "model/model.hpp"

namespace elrt {

struct LayerTensor {
  std::string_view name;
  Matrix LayerWeights::*matrix;        // of a matrix
  const float* LayerWeights::*vector;  // of a vector, null in a layer that lacks it
};

// In the order of format::kBlockTensors.
inline constexpr LayerTensor kLayerTensors[] = {
    {format::tensor::kAttnNorm, nullptr, &LayerWeights::attn_norm},
    {format::tensor::kAttnQ, &LayerWeights::q, nullptr},
    {format::tensor::kAttnK, &LayerWeights::k, nullptr},
    {format::tensor::kAttnV, &LayerWeights::v, nullptr},
    {format::tensor::kAttnQBias, nullptr, &LayerWeights::q_bias},
    {format::tensor::kAttnKBias, nullptr, &LayerWeights::k_bias},
    {format::tensor::kAttnVBias, nullptr, &LayerWeights::v_bias},
    {format::tensor::kAttnQNorm, nullptr, &LayerWeights::q_norm},
    {format::tensor::kAttnKNorm, nullptr, &LayerWeights::k_norm},
    {format::tensor::kAttnOutput, &LayerWeights::o, nullptr},
    {format::tensor::kAttnOutputBias, nullptr, &LayerWeights::o_bias},
    {format::tensor::kAttnPostNorm, nullptr, &LayerWeights::attn_post_norm},
    {format::tensor::kFfnNorm, nullptr, &LayerWeights::ffn_norm},
    {format::tensor::kFfnGate, &LayerWeights::gate, nullptr},
    {format::tensor::kFfnUp, &LayerWeights::up, nullptr},
    {format::tensor::kFfnDown, &LayerWeights::down, nullptr},
    {format::tensor::kFfnPostNorm, nullptr, &LayerWeights::ffn_post_norm},
};

constexpr bool layer_table_fits() {
  for (std::size_t i = 0; i < std::size(kLayerTensors); ++i) {
    const format::BlockTensor& stored = format::kBlockTensors[i];
    if (kLayerTensors[i].name != stored.name || (kLayerTensors[i].matrix != nullptr) != stored.matrix() ||
        (kLayerTensors[i].vector != nullptr) == stored.matrix())
      return false;
  }
  return true;
}
static_assert(std::size(kLayerTensors) == std::size(format::kBlockTensors) && layer_table_fits());

// use(what the file stores, its matrix) for every matrix of the layer, in the order of adapter targets.
template <typename Use>
void for_each_matrix(const LayerWeights& layer, Use&& use) {
  for (std::size_t i = 0; i < std::size(kLayerTensors); ++i) {
    if (kLayerTensors[i].matrix != nullptr) use(format::kBlockTensors[i], layer.*kLayerTensors[i].matrix);
  }
}

// Widths of a layer that keeps so many units.
inline format::BlockWidths block_widths(const ModelShape& shape, std::uint32_t kv_groups, std::uint32_t neurons) {
  const std::uint64_t keys = std::uint64_t{kv_groups} * shape.head_dim;
  return {shape.hidden, shape.head_dim, keys * shape.heads_per_group(), keys, neurons};
}

inline format::BlockWidths block_widths(const LevelView& view, std::size_t layer) {
  return block_widths(view.model().shape, view.kv_groups(layer), view.neurons(layer));
}

}  // namespace elrt
