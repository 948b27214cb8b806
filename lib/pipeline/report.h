// One table of everything a run measured.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

#include "base/files.h"

namespace elastify {

// {artifact, bytes, latency, levels: [{level, block_ratio, total_ratio, bytes, adapter_bytes, loss_before, loss_after,
// ttft_ms, tpot_ms, decode_tokens_per_s}]}, from model.gguf and, where they exist, model.gguf.latency.json (of
// elastic-run calibrate) and bench.json (of elastic-run bench --json). latency: {source, tokens}, where times are from
// and for how long a prompt and context; null where nothing was measured. Throws Error(kBadData) where the artifact is
// missing or damaged.
nlohmann::json make_report(const fs::path& run_dir);

std::string format_report(const nlohmann::json& report);

// Loss against measured latency, by level, as quality.svg in the run directory. False where there is nothing to draw.
bool draw_report(const fs::path& run_dir, const nlohmann::json& report);

}  // namespace elastify
