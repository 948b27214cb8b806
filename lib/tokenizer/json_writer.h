// A TokenizerSpec as the files that Hugging Face's libraries read: the inverse of read_tokenizer_json().
#pragma once

#include <nlohmann/json.hpp>

#include "elrt/tokenizer.hpp"

namespace elastify {

// tokenizer.json. Of a model by scores, the merges are every split of a token in two tokens, best score first, as
// transformers makes them of a SentencePiece model. What an unknown token decodes to (unk_surface) has no place there.
// Throws Error(kBadData) where a text stands for two tokens, and for steps that the format cannot say.
nlohmann::ordered_json tokenizer_to_json(const elrt::TokenizerSpec& spec);

// tokenizer_config.json: which tokens begin, end and fill a text.
nlohmann::json tokenizer_config_to_json(const elrt::TokenizerSpec& spec);

}  // namespace elastify
