// Results of single pieces, each a JSON file named by what it depends on.
#pragma once

#include <string>

#include "base/files.h"

namespace elastify {

// The content of `file`, if `key` made it; else what `make` returns, kept there.
template <typename Make>
nlohmann::json kept_json(const fs::path& file, const std::string& key, bool& worked, Make&& make) {
  if (fs::exists(file)) {
    nlohmann::json found = read_json(file);
    if (found.is_object() && found.value("key", "") == key) return found;
  }
  worked = true;
  nlohmann::json made = make();
  made["key"] = key;
  fs::create_directories(file.parent_path());
  write_json(file, made);
  return made;
}

}  // namespace elastify
