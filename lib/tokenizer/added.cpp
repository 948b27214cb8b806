#include "tokenizer/added.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <string>

#include "base/log.h"
#include "tokenizer/sidecar.h"

namespace elastify {
namespace {

using nlohmann::json;

struct NamedToken {
  std::string text;
  elrt::AddedToken flags;  // its id is the map's key
};
using NamedTokens = std::map<std::int32_t, NamedToken>;

std::int32_t parse_id(const std::string& text, const fs::path& file) {
  std::int32_t id = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 0)
    fail_data("tokenizer: {}: \"{}\" in added_tokens_decoder is no token id, expected a whole number from 0",
              file.string(), text.substr(0, 100));
  return id;
}

bool read_flag(const json& entry, const char* key, bool fallback, const fs::path& file) {
  const auto found = entry.find(key);
  if (found == entry.end() || found->is_null()) return fallback;
  if (!found->is_boolean())
    fail_data("tokenizer: {}: {} of an added token should be true or false", file.string(), key);
  return found->get<bool>();
}

// {"32000": {"content": "<sep>", "special": false, ...}, ...}
NamedTokens read_decoder(const json& entries, const fs::path& file) {
  NamedTokens tokens;
  if (!entries.is_object()) fail_data("tokenizer: {}: added_tokens_decoder should be an object", file.string());
  for (const auto& [key, entry] : entries.items()) {
    const std::int32_t id = parse_id(key, file);
    if (!entry.is_object() || !entry.contains("content") || !entry["content"].is_string())
      fail_data("tokenizer: {}: added token {} should be an object with its text as \"content\"", file.string(), id);
    const bool special = read_flag(entry, "special", false, file);
    tokens[id] = {entry["content"].get<std::string>(),
                  {id, special, read_flag(entry, "lstrip", false, file), read_flag(entry, "rstrip", false, file),
                   read_flag(entry, "single_word", false, file), read_flag(entry, "normalized", !special, file)}};
  }
  return tokens;
}

// Every text that the document names as a special token: strings, objects with "content", and lists of both, under the
// keys that end in "_token" or "_tokens".
void collect_special(const json& document, std::set<std::string>& texts) {
  const auto put = [&](const json& value) {
    if (value.is_string()) texts.insert(value.get<std::string>());
    if (value.is_object() && value.contains("content") && value["content"].is_string())
      texts.insert(value["content"].get<std::string>());
  };
  for (const auto& [key, value] : document.items()) {
    if (!key.ends_with("_token") && !key.ends_with("_tokens")) continue;
    put(value);
    if (!value.is_array()) continue;
    for (const json& item : value) put(item);
  }
}

// {"<sep>": 32000, ...}
NamedTokens read_list(const fs::path& directory, const json& config) {
  const fs::path file = directory / "added_tokens.json";
  const json document = read_sidecar(file);
  std::set<std::string> special;
  collect_special(config, special);
  collect_special(read_sidecar(directory / "special_tokens_map.json"), special);
  NamedTokens tokens;
  for (const auto& [text, id] : document.items()) {
    if (!id.is_number_integer() || id < 0 || id > 0x7FFFFFFF)
      fail_data("tokenizer: {}: the id of \"{}\" should be a whole number from 0, found {}", file.string(), text,
                id.dump().substr(0, 100));
    const auto number = id.get<std::int32_t>();
    if (const auto [place, fresh] = tokens.try_emplace(number, NamedToken{text, {number, special.contains(text)}});
        !fresh)
      fail_data("tokenizer: {}: id {} stands for \"{}\" and for \"{}\"", file.string(), number, place->second.text,
                text);
  }
  return tokens;
}

void append(const NamedToken& token, const std::string& source, elrt::TokenizerSpec& spec) {
  if (const auto twin = std::find(spec.tokens.begin(), spec.tokens.end(), token.text); twin != spec.tokens.end())
    fail_data("tokenizer: {}: \"{}\" has id {}, but the tokenizer has it as {}", source, token.text, token.flags.id,
              twin - spec.tokens.begin());
  spec.tokens.push_back(token.text);
  // Never joined from pieces: a score model makes tokens of neighbours only where the joined text is an ordinary token.
  spec.types.push_back(token.flags.special ? elrt::TokenType::kControl : elrt::TokenType::kUserDefined);
  if (spec.model == elrt::TokenizerModel::kBpeScores) spec.scores.push_back(0.0f);
}

}  // namespace

void read_added_tokens(const fs::path& directory, std::int64_t vocab_size, elrt::TokenizerSpec& spec) {
  const fs::path config_file = directory / "tokenizer_config.json";
  const json config = read_sidecar(config_file);
  const auto entries = config.find("added_tokens_decoder");
  const bool has_decoder = entries != config.end() && !entries->is_null();
  const NamedTokens tokens = has_decoder ? read_decoder(*entries, config_file) : read_list(directory, config);
  const std::string source = (has_decoder ? config_file : directory / "added_tokens.json").string();
  std::set<std::int32_t> known;
  for (const elrt::AddedToken& token : spec.added) known.insert(token.id);
  for (const auto& [id, token] : tokens) {
    if (token.text.empty()) fail_data("tokenizer: {}: added token {} is empty", source, id);
    const auto place = static_cast<std::size_t>(id);
    if (place < spec.tokens.size() && spec.tokens[place] != token.text)
      fail_data("tokenizer: {}: id {} stands for \"{}\", but the tokenizer has \"{}\" there", source, id, token.text,
                spec.tokens[place]);
    if (vocab_size > 0 && id >= vocab_size) {
      spdlog::warn("tokenizer: {}: token {} \"{}\" is ignored: the model has only {} tokens", source, id, token.text,
                   vocab_size);
      continue;
    }
    if (place > spec.tokens.size())
      fail_data("tokenizer: {}: added token \"{}\" has id {}, but no token has id {}", source, token.text, id,
                spec.tokens.size());
    if (place == spec.tokens.size()) append(token, source, spec);
    if (!known.insert(id).second) continue;
    spec.added.push_back(token.flags);
    // SentencePiece looks for added tokens in the text as it is; its own steps are no normalizer in that sense.
    if (spec.model == elrt::TokenizerModel::kBpeScores) spec.added.back().normalized = false;
  }
}

}  // namespace elastify
