// A level as a Hugging Face folder that transformers, and what reads its checkpoints, load.
#pragma once

#include "export/export_parts.h"

namespace elastify {

// Fills `folder` with config.json, model.safetensors and the tokenizer's files. `merge`: the level's adapter becomes a
// part of the weights.
ExportSummary write_hf(const LevelSource& source, const ExportOptions& options, bool merge, const fs::path& folder);

}  // namespace elastify
