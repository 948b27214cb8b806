#include "tokenizer/special.h"

#include <algorithm>
#include <optional>
#include <string>

#include "tokenizer/sidecar.h"

namespace elastify {
namespace {

using nlohmann::json;

// A token named by its text, or by an object with its "content".
std::optional<std::string> token_text(const json& document, const char* key, const fs::path& file) {
  const auto found = document.find(key);
  if (found == document.end() || found->is_null()) return std::nullopt;
  const json& text = found->is_object() && found->contains("content") ? found->at("content") : *found;
  if (!text.is_string()) fail_data("tokenizer: {}: {} should be a token's text", file.string(), key);
  return text.get<std::string>();
}

std::int32_t find_token(const elrt::TokenizerSpec& spec, const std::string& text) {
  const auto found = std::find(spec.tokens.begin(), spec.tokens.end(), text);
  return found == spec.tokens.end() ? -1 : static_cast<std::int32_t>(found - spec.tokens.begin());
}

// True where the files name a BOS token, be it null: then config.json's id does not count.
bool read_names(const fs::path& directory, elrt::TokenizerSpec& spec) {
  const fs::path config_file = directory / "tokenizer_config.json", map_file = directory / "special_tokens_map.json";
  const json config = read_sidecar(config_file), map = read_sidecar(map_file);
  const auto read = [&](const char* key, std::int32_t& id, bool required) {
    std::optional<std::string> text = token_text(config, key, config_file);
    if (!text) text = token_text(map, key, map_file);
    if (!text) return;
    const std::int32_t found = find_token(spec, *text);
    if (found < 0 && required) fail_data("tokenizer: {}: {} \"{}\" is not a token", config_file.string(), key, *text);
    id = found;
  };
  read("bos_token", spec.bos_id, true);
  read("eos_token", spec.eos_id, true);
  read("pad_token", spec.pad_id, false);  // padding never reaches a model here
  const auto flag = [&](const char* key, bool& value, std::int32_t id) {
    const auto found = config.find(key);
    if (found == config.end() || found->is_null()) return;
    if (!found->is_boolean()) fail_data("tokenizer: {}: {} should be true or false", config_file.string(), key);
    value = found->get<bool>() && id >= 0;
  };
  flag("add_bos_token", spec.add_bos, spec.bos_id);
  flag("add_eos_token", spec.add_eos, spec.eos_id);
  return config.contains("bos_token") || map.contains("bos_token");
}

// An id or a list of ids; those outside of the vocabulary are an error.
std::vector<std::int32_t> ids_of(const json& document, const char* key, const fs::path& file, std::size_t count) {
  std::vector<std::int32_t> ids;
  const auto found = document.find(key);
  if (found == document.end() || found->is_null()) return ids;
  for (const json& id : found->is_array() ? *found : json::array({*found})) {
    if (!id.is_number_integer() || id < 0 || id >= count) {
      fail_data("tokenizer: {}: {} {} is not a token's id, expected 0 to {}", file.string(), key, id.dump(), count - 1);
    }
    ids.push_back(id.get<std::int32_t>());
  }
  return ids;
}

void read_ids(const fs::path& directory, bool bos_is_known, elrt::TokenizerSpec& spec) {
  for (const char* name : {"generation_config.json", "config.json"}) {
    const fs::path file = directory / name;
    const json document = read_sidecar(file);
    const std::vector<std::int32_t> bos = ids_of(document, "bos_token_id", file, spec.tokens.size());
    if (!bos_is_known && spec.bos_id < 0 && !bos.empty()) spec.bos_id = bos[0];
    for (const std::int32_t id : ids_of(document, "eos_token_id", file, spec.tokens.size())) {
      if (spec.eos_id < 0) spec.eos_id = id;
      const bool known =
          id == spec.eos_id || std::find(spec.stop_ids.begin(), spec.stop_ids.end(), id) != spec.stop_ids.end();
      if (!known) spec.stop_ids.push_back(id);
    }
  }
}

}  // namespace

void read_special_tokens(const fs::path& directory, elrt::TokenizerSpec& spec) {
  const bool bos_is_known = read_names(directory, spec);
  read_ids(directory, bos_is_known, spec);
}

void read_text_ends(const fs::path& directory, elrt::TokenizerSpec& spec) { read_ids(directory, true, spec); }

void write_text_ends(const elrt::TokenizerSpec& spec, json& config) {
  if (spec.bos_id >= 0) config["bos_token_id"] = spec.bos_id;
  json ends = json::array();
  if (spec.eos_id >= 0) ends.push_back(spec.eos_id);
  for (const std::int32_t id : spec.stop_ids) ends.push_back(id);
  if (!ends.empty()) config["eos_token_id"] = ends.size() == 1 ? ends[0] : ends;
}

}  // namespace elastify
