#include "model/level_view.hpp"

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

std::uint64_t count_bytes_per_token(const LevelView& view) {
  const Model& model = view.model();
  const std::uint64_t hidden = model.shape.hidden;
  std::uint64_t bytes = view.adapter_bytes();
  for (std::size_t layer = 0; layer < model.layers.size(); ++layer) {
    const LayerWeights& w = model.layers[layer];
    const std::uint64_t q = view.q_width(layer), kv = view.kv_width(layer), neurons = view.neurons(layer);
    bytes += matrix_bytes(w.q, q, hidden) + matrix_bytes(w.k, kv, hidden) + matrix_bytes(w.v, kv, hidden) +
             matrix_bytes(w.o, hidden, q) + matrix_bytes(w.gate, neurons, hidden) +
             matrix_bytes(w.up, neurons, hidden) + matrix_bytes(w.down, hidden, neurons) + 2 * hidden * sizeof(float);
  }
  return bytes + matrix_bytes(model.output, model.shape.vocab, hidden) +
         matrix_bytes(model.embedding, 32, hidden) / 32 + hidden * sizeof(float);
}

}  // namespace elrt
