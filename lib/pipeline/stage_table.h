// All stages, in the order of a build.
#pragma once

#include "pipeline/stage.h"

namespace elastify {

const std::vector<Stage>& stage_table();

// Throws Error(kInternal) for a name that the table lacks.
const Stage& find_stage(const std::string& name);

// The stages that a whole build of these settings runs.
std::vector<const Stage*> wanted_stages(const PipelineConfig& config);

}  // namespace elastify
