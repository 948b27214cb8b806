// The plan as a picture: what every level keeps of every layer.
#pragma once

#include <vector>

#include "base/plot.h"
#include "reorder/plan.h"

namespace elastify {

// Two maps, KV groups and neurons: layers across, levels up, the kept share as colour, the count on the cell.
std::vector<Chart> plan_charts(const ElasticPlan& plan);

}  // namespace elastify
