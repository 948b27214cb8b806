// What a part is worth: the same run without it, under the same clock.
#pragma once

#include <nlohmann/json.hpp>

#include <functional>
#include <string>
#include <vector>

#include "evaluate/loaded_run.h"

namespace elastify {

// {tlm, met, families: {FAMILY: right}}: means over the lattice of what `run` answers as served, its SLOs being shares
// of `clock`'s full model's times. Throws Error(kBadData) where the two runs' tasks differ.
nlohmann::json served_accuracy(LoadedRun& run, const LoadedRun& clock);

// Those that need no build: {name, about, tlm, met, families} each.
//   no_decision_head  the rule by expected accuracy alone
//   published_choice  the decision-head alone, as published
//   one_level         the level that reads the prompt writes the answer
std::vector<nlohmann::json> quick_ablations(const LoadedRun& run, const nlohmann::json& objectives);

}  // namespace elastify
