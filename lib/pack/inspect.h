// What an artifact, or a checkpoint, says about itself.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

#include "base/files.h"

namespace elastify {

// {kind: "artifact", file, bytes, name, architecture, features {...}, tokenizer {...}, format_version, shape {...},
// tensors, quantised: [{tensor, type, bytes, relative_rms_error}], tlm, shared_adapter: null or {rank, type, bytes,
// levels}, anchors, tokens, source {...}, verified, levels: [{level, block_ratio, total_ratio, kv_groups, neurons,
// adapter_bytes, adapter_rank, adapter_shared, adapter_type, bytes_per_token, loss_before, loss_after}]};
// relative_rms_error is null where the file does not say. With `verify`, every tensor's checksum is compared. Throws
// Error(kBadData) on a damaged or foreign file.
nlohmann::json inspect_artifact(const fs::path& path, bool verify);

// The same as a table for people.
std::string format_inspection(const nlohmann::json& summary);

// An artifact, a run directory that holds model.gguf, or whatever Checkpoint::open() takes (inspect_checkpoint.h).
nlohmann::json inspect(const fs::path& path, bool verify);
std::string format_summary(const nlohmann::json& summary);

}  // namespace elastify
