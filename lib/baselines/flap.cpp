#include "baselines/flap.h"

#include <algorithm>
#include <cmath>

namespace elastify {
namespace {

torch::Tensor standardised(const torch::Tensor& values) {
  const torch::Tensor spread = values.std().clamp_min(1e-300);
  return (values - values.mean()) / spread;
}

torch::Tensor column_squares(const torch::Tensor& weight) {
  return weight.to(torch::kCPU, torch::kFloat64).square().sum(0);
}

struct RankedUnit {
  double score;
  std::int64_t layer;
  bool group;
};

std::vector<RankedUnit> ranked_units(const UnitScores& scores) {
  std::vector<RankedUnit> units;
  const auto add = [&](const torch::Tensor& table, bool group) {
    const auto values = table.accessor<double, 2>();
    for (std::int64_t layer = 0; layer < table.size(0); ++layer) {
      for (std::int64_t i = 0; i < table.size(1); ++i) units.push_back({values[layer][i], layer, group});
    }
  };
  add(scores.groups, true);
  add(scores.neurons, false);
  std::stable_sort(units.begin(), units.end(),
                   [](const RankedUnit& a, const RankedUnit& b) { return a.score > b.score; });
  return units;
}

// How many neurons a layer keeps of whose `count` lie above the threshold.
std::int64_t rounded_neurons(std::int64_t count, std::int64_t all, std::int64_t multiple) {
  const std::int64_t first = std::min(multiple, all);
  return std::clamp((count + multiple / 2) / multiple * multiple, first, all);
}

torch::Tensor removed_mean(const torch::Tensor& weight, const torch::Tensor& mean, std::int64_t kept) {
  const std::int64_t lost = weight.size(1) - kept;
  const torch::Tensor bias =
      weight.narrow(1, kept, lost).to(torch::kFloat64).mv(mean.narrow(0, kept, lost).to(weight.device()));
  return bias.to(weight.scalar_type());
}

void add_bias(torch::Tensor& bias, const torch::Tensor& more) { bias = bias.defined() ? bias + more : more; }

}  // namespace

UnitScores flap_scores(const ModelWeights& weights, const ActivationStats& stats) {
  const torch::NoGradGuard no_grad;
  const ModelConfig& c = weights.config;
  std::vector<torch::Tensor> groups, neurons;
  for (std::int64_t layer = 0; layer < c.num_layers; ++layer) {
    const BlockWeights& block = weights.blocks[static_cast<std::size_t>(layer)];
    const torch::Tensor heads = (stats.groups.variance[layer] * column_squares(block.o)).square();
    groups.push_back(standardised(heads).view({c.num_kv_heads, -1}).mean(1));
    neurons.push_back(standardised(stats.neurons.variance[layer] * column_squares(block.down)));
  }
  return {torch::stack(groups), torch::stack(neurons)};
}

LevelWidths threshold_widths(const ModelConfig& config, const UnitScores& scores, std::int64_t level,
                             std::int64_t neuron_multiple) {
  const auto layers = static_cast<std::size_t>(config.num_layers);
  LevelWidths widths{std::vector<std::int64_t>(layers, 1),
                     std::vector<std::int64_t>(layers, rounded_neurons(0, config.intermediate_size, neuron_multiple))};
  std::vector<std::int64_t> groups(layers, 0), neurons(layers, 0);
  LevelWidths best = widths;
  const double target = static_cast<double>(level) / 100;
  double kept = block_ratio(config, widths), miss = std::abs(kept - target);
  const double all = static_cast<double>(config.num_layers * config.weights_per_block());
  for (const RankedUnit& unit : ranked_units(scores)) {
    const auto at = static_cast<std::size_t>(unit.layer);
    auto& width = unit.group ? widths.kv_groups[at] : widths.neurons[at];
    const std::int64_t wanted = unit.group ? std::max<std::int64_t>(1, ++groups[at])
                                           : rounded_neurons(++neurons[at], config.intermediate_size, neuron_multiple);
    if (wanted == width) continue;
    kept += static_cast<double>((wanted - width) *
                                (unit.group ? config.weights_per_group() : config.weights_per_neuron())) /
            all;
    width = wanted;
    if (std::abs(kept - target) >= miss) continue;
    miss = std::abs(kept - target);
    best = widths;
  }
  return best;
}

void add_flap_bias_inplace(ModelWeights& weights, const ActivationStats& stats, const UnitOrder& order,
                           const LevelWidths& widths) {
  const torch::NoGradGuard no_grad;
  const std::int64_t group_width = weights.config.group_width();
  for (std::size_t layer = 0; layer < weights.blocks.size(); ++layer) {
    BlockWeights& block = weights.blocks[layer];
    const auto at = static_cast<std::int64_t>(layer);
    const torch::Tensor groups = order.groups[layer].apply(stats.groups.mean[at], 0, group_width);
    add_bias(block.o_bias, removed_mean(block.o, groups, widths.kv_groups[layer] * group_width));
  }
}

}  // namespace elastify
