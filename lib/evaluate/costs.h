// What a run cost, and what it costs to carry and to switch.
#pragma once

#include <nlohmann/json.hpp>

#include "base/files.h"

namespace elastify {

// From the run directory's records, in the order in which the stages ran last: [{stage, seconds, memory_bytes,
// energy_joules}]; null where it was not measured.
nlohmann::json stage_costs(const fs::path& run_dir);

// {artifact_bytes, separate_bytes, levels: [{level, bytes, switch_us}]}: separate_bytes is what a file for each level,
// with its own weights and adapter, would hold together; switch_us the mean time of one change between the level and
// the largest (to the next smaller one for the largest itself), weights in memory and no text read.
nlohmann::json carrying_costs(const fs::path& artifact);

}  // namespace elastify
