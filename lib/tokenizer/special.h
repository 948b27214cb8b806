// Which tokens begin and end a text, from the JSON files next to a tokenizer.
#pragma once

#include <filesystem>

#include "elrt/tokenizer.hpp"

namespace elastify {

// Lays over `spec` what `directory` says, where it says anything: bos, eos and pad from tokenizer_config.json (else
// special_tokens_map.json, else the ids of config.json where the spec has none yet), add_bos_token and add_eos_token;
// further ends of text (stop_ids) from generation_config.json and config.json. Throws Error(kBadData) for malformed
// files and for a bos or eos that is no token.
void read_special_tokens(const std::filesystem::path& directory, elrt::TokenizerSpec& spec);

}  // namespace elastify
