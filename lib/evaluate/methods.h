// Other methods' levels under the same objectives.
#pragma once

#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <vector>

#include "evaluate/loaded_run.h"
#include "evaluate/serve_trace.h"

namespace elastify {

using MethodLevels = std::map<std::string, std::vector<MethodLevel>>;

// From run_baselines()'s document: of every method the recovered levels that have tasks, and the full model, which
// every method can fall back on. Bounds, which no artifact can hold, are left out.
MethodLevels method_levels(const nlohmann::json& baselines);

// The run's test tasks as a file that the harness reads.
void write_test_tasks(const LoadedRun& run, const fs::path& path);

// Every method under every SLO of `lattice` (compare_decisions()'s), next to the policy tlm:
// {methods: {METHOD: {mean, lattice: [right]}}, best: [name], gain: [tlm less best], mean_gain, cells_ahead}.
nlohmann::json compare_methods(const LoadedRun& run, const MethodLevels& methods, const nlohmann::json& lattice);

}  // namespace elastify
