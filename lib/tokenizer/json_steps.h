// The text-processing components of tokenizer.json as TokenizerSpec steps.
#pragma once

#include <nlohmann/json.hpp>

#include "elrt/tokenizer.hpp"

namespace elastify::tokenizer_json {

// Each takes the document and fills its part of `spec` (pre_tokenizer also sets byte_level). They throw Error(kBadData)
// for unknown components, naming them.
void read_normalizer(const nlohmann::json& document, elrt::TokenizerSpec& spec);
void read_pre_tokenizer(const nlohmann::json& document, elrt::TokenizerSpec& spec);
void read_decoder(const nlohmann::json& document, elrt::TokenizerSpec& spec);
// Which tokens are put around a text: bos_id, add_bos, eos_id, add_eos. Ids are checked against spec.tokens.
void read_post_processor(const nlohmann::json& document, elrt::TokenizerSpec& spec);

}  // namespace elastify::tokenizer_json
