#include "export/level_tensors.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace elastify {
namespace {

torch::Tensor widened(const torch::Tensor& tensor, std::int64_t dimension, std::int64_t extent) {
  const std::int64_t more = extent - tensor.size(dimension);
  require(more >= 0, "export: {} units do not fit into {}", tensor.size(dimension), extent);
  if (more == 0) return tensor;
  auto zeros = tensor.sizes().vec();
  zeros[static_cast<std::size_t>(dimension)] = more;
  return torch::cat({tensor, torch::zeros(zeros, tensor.options())}, dimension);
}

std::size_t target_of(const BlockTensor& part) {
  const auto matrices = block_matrices();
  const auto found = std::find_if(matrices.begin(), matrices.end(),
                                  [&](const BlockTensor& matrix) { return std::strcmp(matrix.name, part.name) == 0; });
  return static_cast<std::size_t>(found - matrices.begin());
}

}  // namespace

bool adapts(const Adapter& adapter, std::size_t target) {
  return std::any_of(adapter.blocks.begin(), adapter.blocks.end(),
                     [&](const auto& block) { return block[target].defined(); });
}

BlockWidths LevelTensors::written(std::int64_t index) const {
  const auto i = static_cast<std::size_t>(index);
  return block_widths(source.facts().config, shape.written.kv_groups[i], shape.written.neurons[i]);
}

torch::Tensor LevelTensors::block(std::int64_t index, const BlockTensor& part) const {
  const LevelFacts& facts = source.facts();
  const auto layer = static_cast<std::size_t>(shape.layers[static_cast<std::size_t>(index)]);
  torch::Tensor tensor = source.block_tensor(static_cast<std::int64_t>(layer), part);
  const bool left_out = shape.kept.kv_groups[static_cast<std::size_t>(index)] == 0;
  if (part.stored.kind == elrt::format::TensorKind::kBias && part.unit() == Unit::kNone && left_out)
    return torch::zeros_like(tensor);
  if (part.matrix() && merge && facts.adapter) {
    const LoraPair& pair = facts.adapter->blocks[layer][target_of(part)];
    if (pair.defined()) tensor = tensor + pair.b.mm(pair.a) * facts.adapter->scale;
  }
  if (part.unit() == Unit::kNone) return tensor;
  return widened(tensor, part.unit_dimension(), part.unit_extent(written(index)));
}

LoraPair LevelTensors::lora(std::int64_t index, std::size_t target) const {
  const Adapter& adapter = *source.facts().adapter;
  const BlockTensor& matrix = block_matrices()[target];
  const auto whole = matrix.shape(written(index));
  const LoraPair& pair =
      adapter.blocks[static_cast<std::size_t>(shape.layers[static_cast<std::size_t>(index)])][target];
  if (!pair.defined()) return {torch::zeros({adapter.rank, whole[1]}), torch::zeros({whole[0], adapter.rank})};
  return {widened(pair.a, 1, whole[1]), widened(pair.b, 0, whole[0])};
}

}  // namespace elastify
