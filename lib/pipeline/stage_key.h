// What a stage's result depends on, as one hash.
#pragma once

#include "pipeline/stage.h"

namespace elastify {

// The settings that `stage` depends on: {"profile": {...}, "data": {"sample_tokens": 256}, ...}.
json stage_settings(const Stage& stage, const PipelineConfig& config);

// Of the tool's version, the stage's settings and the content of everything that it reads. Throws Error(kUsage) where
// an earlier stage has not run, Error(kBadData) where its files are not what it wrote or an input cannot be read.
std::string stage_key(const Stage& stage, const PipelineConfig& config, RunDirectory& run);

}  // namespace elastify
