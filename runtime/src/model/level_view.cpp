#include "model/level_view.hpp"

#include "model/layer_table.hpp"

namespace elrt {
namespace {

std::uint64_t matrix_bytes(const Matrix& matrix, std::uint64_t outputs, std::uint64_t inputs) {
  if (matrix.quantised()) {  // whole panels are read
    const std::uint64_t side = matrix.panel_outputs, tile = format::kTileInputs;
    return (outputs + side - 1) / side * ((inputs + tile - 1) / tile) * matrix.panel_bytes();
  }
  return outputs * inputs * matrix.element_bytes();
}

}  // namespace

std::uint64_t LevelView::adapter_bytes() const {
  std::uint64_t bytes = 0;
  for (const LayerAdapter& layer : level_->adapters) {
    for (const AdapterPair& pair : layer) {
      if (pair.a) bytes += matrix_bytes(pair.a, pair.a.outputs, pair.a.inputs) + pair.b.bytes();
    }
  }
  return bytes;
}

std::uint64_t LevelView::adapter_weights() const {
  std::uint64_t weights = 0;
  for (const LayerAdapter& layer : level_->adapters) {
    for (const AdapterPair& pair : layer) {
      weights += std::uint64_t{pair.a.outputs} * pair.a.inputs + std::uint64_t{pair.b.outputs} * pair.b.inputs;
    }
  }
  return weights;
}

std::uint64_t count_bytes_per_token(const LevelView& view) {
  const Model& model = view.model();
  const std::uint64_t hidden = model.shape.hidden;
  std::uint64_t bytes = view.adapter_bytes();
  for (std::size_t layer = 0; layer < model.layers.size(); ++layer) {
    const format::BlockWidths widths = block_widths(view, layer);
    for_each_matrix(model.layers[layer], [&](const format::BlockTensor& stored, const Matrix& matrix) {
      bytes += matrix_bytes(matrix, widths.of(stored.outputs), widths.of(stored.inputs));
    });
    for (const format::BlockTensor& stored : format::kBlockTensors) {
      // Norms that every block has; heads' norms and biases, a few numbers for each head, are not counted.
      const bool counted = !stored.matrix() && !stored.optional && widths.keeps(stored.half());
      if (counted) bytes += widths.of(stored.outputs) * sizeof(float);
    }
  }
  return bytes + matrix_bytes(model.output, model.shape.vocab, hidden) +
         matrix_bytes(model.embedding, 32, hidden) / 32 + hidden * sizeof(float);
}

}  // namespace elrt
