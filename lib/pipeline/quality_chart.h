// What a level costs and what it gives: loss against measured latency.
#pragma once

#include <nlohmann/json.hpp>

#include <vector>

#include "base/plot.h"

namespace elastify {

// From make_report(): a chart for the time per output token and one for the time to the first token, a point for each
// level that has a loss and a time, named by the level. Empty where nothing was measured.
std::vector<Chart> quality_charts(const nlohmann::json& report);

}  // namespace elastify
