#include "baselines/layer_drop.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace elastify {

std::int64_t layers_at(std::int64_t layers, std::int64_t level) {
  return std::clamp<std::int64_t>(std::llround(static_cast<double>(layers * level) / 100), 1, layers);
}

std::vector<std::int64_t> lowest_layers(const std::vector<double>& values, std::int64_t count) {
  std::vector<std::int64_t> order(values.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return values[static_cast<std::size_t>(a)] < values[static_cast<std::size_t>(b)];
  });
  order.resize(static_cast<std::size_t>(count));
  std::sort(order.begin(), order.end());
  return order;
}

LevelWidths without_layers(const ModelConfig& config, const std::vector<std::int64_t>& removed) {
  LevelWidths widths = without_attention(config, removed);
  for (const std::int64_t layer : removed) widths.neurons[static_cast<std::size_t>(layer)] = 0;
  return widths;
}

LevelWidths without_attention(const ModelConfig& config, const std::vector<std::int64_t>& removed) {
  LevelWidths widths = full_widths(config);
  for (const std::int64_t layer : removed) widths.kv_groups[static_cast<std::size_t>(layer)] = 0;
  return widths;
}

std::int64_t attention_blocks_to_drop(const ModelConfig& config, std::int64_t level) {
  const double excess =
      static_cast<double>(100 - level) / 100 * static_cast<double>(config.num_layers * config.weights_per_block());
  return std::llround(excess / static_cast<double>(config.num_kv_heads * config.weights_per_group()));
}

}  // namespace elastify
