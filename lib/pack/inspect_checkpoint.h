// What a checkpoint says about itself, and what an import makes of it.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

#include "base/files.h"

namespace elastify {

// {kind: "checkpoint", file, bytes, name, architecture, dtype, types {stored as: tensors}, shape {as of an artifact},
// features, weights, tensors, tokenizer {as of an artifact, or problem}, tokens, ignored: [what the import leaves out,
// for people], verified}. With `verify`, every weight is read and proven finite. Throws Error(kBadData) as
// Checkpoint::open() does.
nlohmann::json inspect_checkpoint(const fs::path& path, bool verify);

// The same for people.
std::string format_checkpoint(const nlohmann::json& summary);

}  // namespace elastify
