// A level as a GGUF file that llama.cpp loads.
#pragma once

#include "export/export_parts.h"

namespace elastify {

// Layers of one width make a plain llama, qwen2 or qwen3 file. Others, and those of qwen2 that lost heads, make a
// `deci` file (llama.cpp's name for Nemotron-NAS), whose layers have head and neuron counts of their own and may lack
// their attention. What llama.cpp drops there (an attention without MLP) or does not load (a first layer without
// attention) gets the fewest units of zeros that it wants; norms of queries and keys, which deci has not, make a plain
// file with every layer padded. Throws Error(kUsage) for what no architecture of llama.cpp holds.
ExportSummary write_gguf_level(const LevelSource& source, const ExportOptions& options, bool merge,
                               const fs::path& file);

}  // namespace elastify
