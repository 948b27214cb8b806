#include "baselines/activation_stats.h"

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"

namespace elastify {
namespace {

constexpr std::int64_t kStatTokens = 2048;

// Sums of values and of squares, [layers, inputs].
struct Sums {
  torch::Tensor first, second;

  Sums(std::int64_t layers, std::int64_t inputs)
      : first(torch::zeros({layers, inputs}, torch::kFloat64)), second(torch::zeros_like(first)) {}

  void add(std::int64_t layer, const torch::Tensor& activations) {
    const torch::Tensor flat = activations.flatten(0, -2).to(torch::kCPU, torch::kFloat64);
    first[layer].add_(flat.sum(0));
    second[layer].add_(flat.square().sum(0));
  }
  InputMoments moments(std::int64_t n) const {
    const double count = static_cast<double>(n);
    const torch::Tensor spread = second - first.square() / count;
    return {first / count, (spread / std::max(1.0, count - 1)).clamp_min(0)};
  }
};

double summed_cosine(const torch::Tensor& a, const torch::Tensor& b) {
  return torch::cosine_similarity(a, b, -1).sum(torch::kFloat64).item<double>();
}

}  // namespace

ActivationStats activation_stats(const Decoder& decoder, const TokenRows& rows) {
  const torch::NoGradGuard no_grad;
  const ModelConfig& c = decoder.config();
  const std::int64_t layers = decoder.num_layers(), step = std::max<std::int64_t>(1, kStatTokens / rows.seq());
  Sums groups(layers, c.num_kv_heads * c.group_width()), neurons(layers, c.intermediate_size);
  ActivationStats stats;
  stats.block_cosine.assign(static_cast<std::size_t>(layers), 0);
  stats.attention_cosine = stats.block_cosine;
  torch::Tensor mixed;  // the last layer's inputs of o_proj
  ForwardOptions options;
  options.tap = [&](std::int64_t layer, UnitKind kind, torch::Tensor activations) {
    (kind == UnitKind::kGroup ? groups : neurons).add(layer, activations);
    if (kind == UnitKind::kGroup) mixed = activations;
    return activations;
  };
  Progress progress("activations", rows.rows(), "rows");
  for (std::int64_t row = 0; row < rows.rows(); row += step) {
    const std::int64_t here = std::min(step, rows.rows() - row);
    torch::Tensor x = decoder.embed(rows.inputs.narrow(0, row, here).to(decoder.weights().embedding.device()));
    for (std::int64_t layer = 0; layer < layers; ++layer) {
      const auto at = static_cast<std::size_t>(layer);
      const BlockWeights& block = decoder.weights().blocks[at];
      const torch::Tensor out = decoder.block(layer, x, options);
      stats.block_cosine[at] += summed_cosine(x, out);
      stats.attention_cosine[at] += summed_cosine(x, x + torch::linear(mixed, block.o, block.o_bias));
      x = out;
    }
    progress.update(row + here);
    stop_if_interrupted();
  }
  const std::int64_t positions = rows.rows() * rows.seq();
  if (positions == 0) fail_data("baselines: there is no calibration text; give data.calibration or data.recovery");
  stats.groups = groups.moments(positions);
  stats.neurons = neurons.moments(positions);
  for (auto* cosines : {&stats.block_cosine, &stats.attention_cosine}) {
    for (double& cosine : *cosines) cosine /= static_cast<double>(positions);
  }
  return stats;
}

}  // namespace elastify
