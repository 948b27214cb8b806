// Tokens that stand in no tokenizer file, only in the JSON files next to it.
#pragma once

#include <cstdint>
#include <filesystem>

#include "elrt/tokenizer.hpp"

namespace elastify {

// Adds to `spec` what `directory` names and the spec lacks, as transformers does: the entries of
// tokenizer_config.json's added_tokens_decoder or, where there is none, of added_tokens.json (special where
// special_tokens_map.json or tokenizer_config.json names the text as a special token). What the tokenizer file itself
// says of a token wins. `vocab_size`: the model's, 0 if unknown; ids beyond it are left out with a warning, since the
// model cannot know them. Throws Error(kBadData) for malformed files, an id that stands for another text, and ids with
// a gap before them.
void read_added_tokens(const std::filesystem::path& directory, std::int64_t vocab_size, elrt::TokenizerSpec& spec);

}  // namespace elastify
