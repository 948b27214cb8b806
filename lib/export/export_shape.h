// Which layers and how many units of a level an exported file holds.
#pragma once

#include <vector>

#include "model/weights.h"

namespace elastify {

struct ExportShape {
  std::vector<std::int64_t> layers;  // of the model, those that are written, ascending
  LevelWidths kept;                  // the level's units of these layers
  LevelWidths written;               // the same, and units of zeros after them, which change nothing

  std::int64_t count() const { return static_cast<std::int64_t>(layers.size()); }
  // All layers have the same units, and some of each kind, as plain formats want it.
  bool one_width() const;
  std::int64_t zero_groups() const;  // of all layers
  std::int64_t zero_neurons() const;
};

// Layers that keep nothing pass on what they are given: they are left out, but for one if no layer keeps anything.
ExportShape shape_of(const LevelWidths& widths);

// Zero units up to the widest layer's. Where no layer has any of a kind, one group, or `neurons` neurons.
void pad_to_widest(ExportShape& shape, std::int64_t neurons);

// The model's configuration with these layers; all have one width.
ModelConfig one_width_config(const ModelConfig& full, const ExportShape& shape);

}  // namespace elastify
