#include "baselines/contextual.h"

#include <cmath>

namespace elastify {

UnitTap contextual_tap(const ModelWeights& weights, std::int64_t kept) {
  std::vector<torch::Tensor> norms;  // of down_proj's columns, [neurons] a layer
  for (const BlockWeights& block : weights.blocks) norms.push_back(block.down.norm(2, 0));
  return [norms, kept](std::int64_t layer, UnitKind kind, torch::Tensor activations) {
    if (kind != UnitKind::kNeuron || kept >= activations.size(-1)) return activations;
    const torch::Tensor weight = activations.abs() * norms[static_cast<std::size_t>(layer)];
    const torch::Tensor chosen = std::get<1>(weight.topk(kept, -1));
    return torch::zeros_like(activations).scatter_(-1, chosen, activations.gather(-1, chosen));
  };
}

std::int64_t contextual_neurons(const ModelConfig& config, std::int64_t level) {
  const double target = static_cast<double>(level) / 100 * static_cast<double>(config.weights_per_block());
  const auto always =
      static_cast<double>(config.weights_per_block() - config.intermediate_size * config.weights_per_neuron());
  return std::llround((target - always) / static_cast<double>(config.weights_per_neuron()));
}

}  // namespace elastify
