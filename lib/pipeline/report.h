// One table of everything a run measured.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

#include "base/files.h"

namespace elastify {

// {artifact, bytes, levels: [{level, block_ratio, total_ratio, bytes, adapter_bytes, loss_before, loss_after,
// decode_tokens_per_s}]}, from model.gguf, finetune.json and, where it exists, bench.json (of elastic-run bench
// --json). Throws Error(kBadData) where the artifact is missing or damaged.
nlohmann::json make_report(const fs::path& run_dir);

std::string format_report(const nlohmann::json& report);

}  // namespace elastify
