// A level's adapter as PEFT loads it, over the level itself.
#pragma once

#include "export/export_parts.h"

namespace elastify {

// Fills `folder` with adapter_config.json and adapter_model.safetensors, and its base/ with the level as a Hugging Face
// folder without the adapter. Throws Error(kUsage) where the level has no adapter.
ExportSummary write_peft(const LevelSource& source, const ExportOptions& options, const fs::path& folder);

}  // namespace elastify
