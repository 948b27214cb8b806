// What stages cost next to plain training, for tables of figures (scripts/figures): no build measures it.
#pragma once

#include "pipeline/pipeline_config.h"

namespace elastify {

// On random tokens, which take as long as any: {profile: {method, time_ratio, time_ratio_activations} (0 where the
// method makes no backward pass, or the weights exceed 4 GiB), finetune: {full_step_seconds}}.
json bench_stages(const PipelineConfig& config);

}  // namespace elastify
