#include "level_view.hpp"

namespace elrt {
namespace {

std::uint64_t matrix_bytes(const Matrix& matrix, std::uint64_t outputs, std::uint64_t inputs) {
  if (matrix.quantised()) {  // whole panels are read
    constexpr std::uint64_t kSide = format::kPanelOutputs;
    return (outputs + kSide - 1) / kSide * ((inputs + kSide - 1) / kSide) * matrix.panel_bytes();
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

std::uint64_t LevelView::bytes_per_token() const {
  const std::uint64_t hidden = model_->shape.hidden;
  std::uint64_t bytes = adapter_bytes();
  for (std::size_t layer = 0; layer < model_->layers.size(); ++layer) {
    const LayerWeights& w = model_->layers[layer];
    bytes += matrix_bytes(w.q, q_width(layer), hidden) + matrix_bytes(w.k, kv_width(layer), hidden) +
             matrix_bytes(w.v, kv_width(layer), hidden) + matrix_bytes(w.o, hidden, q_width(layer)) +
             matrix_bytes(w.gate, neurons(layer), hidden) + matrix_bytes(w.up, neurons(layer), hidden) +
             matrix_bytes(w.down, hidden, neurons(layer)) + 2 * hidden * sizeof(float);
  }
  return bytes + matrix_bytes(model_->output, model_->shape.vocab, hidden) + matrix_bytes(model_->embedding, 32, hidden) / 32 +
         hidden * sizeof(float);
}

}  // namespace elrt
