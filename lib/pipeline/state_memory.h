// What a stage says about memory before it needs it.
#pragma once

#include "pipeline/stage.h"

namespace elastify {

// `bytes` beyond what the program holds already. Logs the sum, which the stage's summary sets against what was used,
// and warns where the machine has less.
void state_memory(const StageContext& context, const char* stage, double bytes);

// Pages of the mapped checkpoint that stay in memory next to its weights: all of it where they are of another type.
double mapped_bytes(const Checkpoint& checkpoint);

}  // namespace elastify
