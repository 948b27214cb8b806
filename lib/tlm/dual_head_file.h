// A dual-head model in a directory: config.json ({"model_type": "elastify-dual-head", "body": {...}, "heads": {...}})
// and model.safetensors with the names of dual_head_slots().
#pragma once

#include "base/files.h"
#include "tlm/dual_head.h"

namespace elastify {

// Whether config.json says so; false where there is none. Throws Error(kBadData) where it is no JSON.
bool is_dual_head(const fs::path& directory);

// Writes both files (float32) into `directory`, which exists.
void write_dual_head(const DualHead& model, const fs::path& directory);

// Throws Error(kBadData) where a file is missing or damaged, is of another model_type, or a tensor is missing, has the
// wrong shape, holds NaN or infinity, or belongs to no such model.
DualHead read_dual_head(const fs::path& directory, torch::Device device, torch::ScalarType dtype);

}  // namespace elastify
