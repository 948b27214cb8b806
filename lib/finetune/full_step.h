// What a recovery step of the full level takes: a measurement for tables of figures, which no build makes.
#pragma once

#include "data/dataset.h"
#include "finetune/finetune_config.h"
#include "model/weights.h"

namespace elastify {

// Median seconds of `steps` steps on the full model, the teacher's pass apart. `text` holds at least a step's rows.
double time_full_step(const ModelWeights& weights, const TokenRows& text, const FinetuneConfig& config, int steps);

}  // namespace elastify
