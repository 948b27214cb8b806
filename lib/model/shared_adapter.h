// One LoRA for several levels, of the full model's widths: a level uses what acts on the units that it keeps.
#pragma once

#include <map>

#include "model/adapter.h"

namespace elastify {

struct SharedAdapter {
  Adapter adapter;                        // full widths; its scale is that of levels that name none
  std::map<std::int64_t, double> scales;  // of every level that uses it, each under 100
};

// adapter.safetensors, and adapter_config.json {rank, scale, levels: [..], scales: [..] of the levels, optional}.
// Throws Error(kBadData) where they are damaged or name no level.
SharedAdapter load_shared_adapter(const fs::path& directory, const ModelConfig& config, torch::Device device,
                                  torch::ScalarType dtype);

// The level's own adapter, as it would be packed alone: views. The level is one that uses it.
Adapter cut_adapter(const SharedAdapter& shared, std::int64_t level, const ModelConfig& config,
                    const LevelWidths& widths);

// adapters/shared
fs::path shared_adapter_directory(const fs::path& adapters);

}  // namespace elastify
