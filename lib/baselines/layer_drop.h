// Baselines that remove whole layers or attention blocks: ShortGPT, early exit, attention drop.
#pragma once

#include <string>
#include <vector>

#include "model/weights.h"

namespace elastify {

// How many whole layers come nearest to `level` percent of the blocks' weights; at least one.
std::int64_t layers_at(std::int64_t layers, std::int64_t level);

// The `count` layers with the lowest values, ascending; of equal ones the lower index.
std::vector<std::int64_t> lowest_layers(const std::vector<double>& values, std::int64_t count);

// Nothing of `removed` and all of the other layers.
LevelWidths without_layers(const ModelConfig& config, const std::vector<std::int64_t>& removed);

// No KV group in `removed`.
LevelWidths without_attention(const ModelConfig& config, const std::vector<std::int64_t>& removed);

// How many attention blocks must go to come nearest to `level`; more than there are layers: the level is out of reach.
std::int64_t attention_blocks_to_drop(const ModelConfig& config, std::int64_t level);

}  // namespace elastify
