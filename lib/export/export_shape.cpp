#include "export/export_shape.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace elastify {
namespace {

using Counts = std::vector<std::int64_t>;

std::int64_t sum(const Counts& counts) { return std::accumulate(counts.begin(), counts.end(), std::int64_t{0}); }
std::int64_t widest(const Counts& counts) { return *std::max_element(counts.begin(), counts.end()); }
bool equal_and_some(const Counts& counts) {
  return counts.front() > 0 && std::all_of(counts.begin(), counts.end(), [&](auto n) { return n == counts.front(); });
}

}  // namespace

bool ExportShape::one_width() const { return equal_and_some(written.kv_groups) && equal_and_some(written.neurons); }
std::int64_t ExportShape::zero_groups() const { return sum(written.kv_groups) - sum(kept.kv_groups); }
std::int64_t ExportShape::zero_neurons() const { return sum(written.neurons) - sum(kept.neurons); }

ExportShape shape_of(const LevelWidths& widths) {
  ExportShape shape;
  for (std::size_t layer = 0; layer < widths.kv_groups.size(); ++layer) {
    if (widths.kv_groups[layer] > 0 || widths.neurons[layer] > 0)
      shape.layers.push_back(static_cast<std::int64_t>(layer));
  }
  if (shape.layers.empty()) shape.layers = {0};
  for (const std::int64_t layer : shape.layers) {
    shape.kept.kv_groups.push_back(widths.kv_groups[static_cast<std::size_t>(layer)]);
    shape.kept.neurons.push_back(widths.neurons[static_cast<std::size_t>(layer)]);
  }
  shape.written = shape.kept;
  return shape;
}

void pad_to_widest(ExportShape& shape, std::int64_t neurons) {
  const std::int64_t most_groups = widest(shape.written.kv_groups), most_neurons = widest(shape.written.neurons);
  std::fill(shape.written.kv_groups.begin(), shape.written.kv_groups.end(), most_groups > 0 ? most_groups : 1);
  std::fill(shape.written.neurons.begin(), shape.written.neurons.end(), most_neurons > 0 ? most_neurons : neurons);
}

ModelConfig one_width_config(const ModelConfig& full, const ExportShape& shape) {
  require(shape.one_width(), "export: layers of different widths where one is wanted");
  ModelConfig config = full;
  config.num_layers = shape.count();
  config.num_kv_heads = shape.written.kv_groups.front();
  config.num_heads = config.num_kv_heads * full.queries_per_group();
  config.intermediate_size = shape.written.neurons.front();
  for (auto member : {&ModelConfig::window_layers, &ModelConfig::rope_layers}) {
    if ((full.*member).empty()) continue;
    (config.*member).clear();
    for (const std::int64_t layer : shape.layers)
      (config.*member).push_back((full.*member)[static_cast<std::size_t>(layer)]);
  }
  return config;
}

}  // namespace elastify
