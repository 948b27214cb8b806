// Which tokens begin and end a text, from the JSON files next to a tokenizer.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "elrt/tokenizer.hpp"

namespace elastify {

// Lays over `spec` what `directory` says, where it says anything: bos, eos and pad from tokenizer_config.json (else
// special_tokens_map.json, else the ids of config.json where the spec has none yet), add_bos_token and add_eos_token;
// further ends of text (stop_ids) from generation_config.json and config.json. Throws Error(kBadData) for malformed
// files and for a bos or eos that is no token.
void read_special_tokens(const std::filesystem::path& directory, elrt::TokenizerSpec& spec);

// The ends of text alone: what config.json and generation_config.json in a checkpoint's `directory` say of a tokenizer
// that lies elsewhere.
void read_text_ends(const std::filesystem::path& directory, elrt::TokenizerSpec& spec);

// The inverse for a checkpoint that is written: bos_token_id and eos_token_id (a number, or a list where several tokens
// end a text) in a config.json.
void write_text_ends(const elrt::TokenizerSpec& spec, nlohmann::json& config);

}  // namespace elastify
