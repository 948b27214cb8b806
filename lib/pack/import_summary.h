// The parts of a summary that checkpoints and artifacts share.
#pragma once

#include <elrt/tokenizer.hpp>
#include <nlohmann/json.hpp>

#include <string>

namespace elastify {

// {model: "merges" or "scores", tokens, bos, eos, stop: [ids], pad, adds_bos, chat_template: bytes or null}; ids are
// null where there is none.
nlohmann::json tokenizer_json(const elrt::TokenizerSpec& spec, const std::string& chat_template);

// One line each, ending in a line break; `shape` and `features` as in both summaries.
std::string format_shape(const nlohmann::json& shape);
std::string format_features(const nlohmann::json& features, const nlohmann::json& shape);
std::string format_tokenizer(const nlohmann::json& tokenizer);
std::string format_ignored(const nlohmann::json& ignored);  // a line for each, none where nothing was

}  // namespace elastify
