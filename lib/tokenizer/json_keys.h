// Which keys of tokenizer.json mean something here.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace elastify::tokenizer_json {

// Every key of the file that nothing reads, as "model.name" or "normalizer Replace.name", in the file's order. Keys
// that are known to play no part (padding, truncation, trim_offsets) are not among them. Parts that are no objects have
// none.
std::vector<std::string> unread_keys(const nlohmann::json& document);

}  // namespace elastify::tokenizer_json
