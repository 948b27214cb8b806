// Everything about the settings that can be known before the first stage starts.
#pragma once

#include <vector>

#include "pipeline/stage.h"

namespace elastify {

// Paths that `stages` read, values that fit each other, the checkpoint and the machine. Reads nothing that is large.
// Throws one Error that lists all problems: kUsage, or kBadData where the only problems are damaged files.
void check_settings(const PipelineConfig& config, const std::vector<const Stage*>& stages);

}  // namespace elastify
