// The JSON files next to a tokenizer: tokenizer_config.json, special_tokens_map.json and others.
#pragma once

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"

namespace elastify {

// An absent file reads as an empty object. Throws Error(kBadData) where it is no JSON object.
inline nlohmann::json read_sidecar(const fs::path& file) {
  if (!fs::is_regular_file(file)) return nlohmann::json::object();
  nlohmann::json document = read_json(file);
  if (!document.is_object()) fail_data("tokenizer: {} should hold a JSON object", file.string());
  return document;
}

}  // namespace elastify
