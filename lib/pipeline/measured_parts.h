// Parts of the reorder stage that measure losses of sub-models on calibration text.
#pragma once

#include <vector>

#include "pipeline/stage.h"
#include "profile/anchor.h"
#include "reorder/make_plan.h"

namespace elastify {

// The plan of the checkpoint whose units were just sorted (reorder.kind measured). Leaves plan_cuts.json and its chart,
// which the second function removes.
ElasticPlan plan_by_measurement(const StageContext& context, const Checkpoint& checkpoint, const Checkpoint& reordered);
void remove_measured_cuts(const StageContext& context);

// Of the layers that the anchors stage chose, costliest first, as many as give level reorder.anchors_judged_at the
// least loss on calibration text; of equal ones the fewer. Ascending. Costs a forward pass of reorder.measured.tokens
// for each number of anchors.
std::vector<std::int64_t> judge_anchors(const StageContext& context, const Checkpoint& checkpoint,
                                        const Checkpoint& reordered, const AnchorsResult& anchors,
                                        const SortedScores& scores);

}  // namespace elastify
