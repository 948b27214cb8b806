#include "tokenizer/json_keys.h"

#include <algorithm>
#include <map>
#include <string_view>

namespace elastify::tokenizer_json {
namespace {

using nlohmann::json;
using Keys = std::vector<std::string_view>;

const Keys kDocument = {"version",       "truncation",     "padding", "added_tokens", "normalizer",
                        "pre_tokenizer", "post_processor", "decoder", "model"};
const Keys kModel = {"type",
                     "dropout",
                     "unk_token",
                     "continuing_subword_prefix",
                     "end_of_word_suffix",
                     "fuse_unk",
                     "byte_fallback",
                     "ignore_merges",
                     "vocab",
                     "merges"};
const Keys kAddedToken = {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"};

// By a component's type, whichever section it stands in. Components that are not here are refused elsewhere.
const std::map<std::string_view, Keys>& component_keys() {
  static const std::map<std::string_view, Keys> keys = {
      {"Sequence", {"normalizers", "pretokenizers", "decoders", "processors"}},
      {"Prepend", {"prepend"}},
      {"NFC", {}},
      {"NFD", {}},
      {"NFKC", {}},
      {"NFKD", {}},
      {"Lowercase", {}},
      {"StripAccents", {}},
      {"Replace", {"pattern", "content"}},
      {"Strip", {"strip_left", "strip_right", "content", "start", "stop"}},
      {"Split", {"pattern", "behavior", "invert"}},
      {"Digits", {"individual_digits"}},
      {"Punctuation", {"behavior"}},
      {"WhitespaceSplit", {}},
      {"Whitespace", {}},
      {"Metaspace", {"replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"}},
      {"ByteLevel", {"add_prefix_space", "trim_offsets", "use_regex"}},
      {"ByteFallback", {}},
      {"Fuse", {}},
      {"TemplateProcessing", {"single", "pair", "special_tokens"}},
  };
  return keys;
}

void collect(const json& object, const Keys& known, const std::string& where, std::vector<std::string>& unread) {
  if (!object.is_object()) return;
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) unread.push_back(where + key);
  }
}

void collect_component(const json& component, const std::string& section, int depth, std::vector<std::string>& unread) {
  if (!component.is_object() || depth > 16) return;
  const auto type = component.find("type");
  if (type == component.end() || !type->is_string()) return;
  const auto known = component_keys().find(type->get_ref<const std::string&>());
  if (known == component_keys().end()) return;
  Keys keys = known->second;
  keys.push_back("type");
  collect(component, keys, section + " " + type->get<std::string>() + ".", unread);
  if (*type != "Sequence") return;
  for (const std::string_view list : known->second) {
    const auto parts = component.find(list);
    if (parts == component.end() || !parts->is_array()) continue;
    for (const json& part : *parts) collect_component(part, section, depth + 1, unread);
  }
}

}  // namespace

std::vector<std::string> unread_keys(const json& document) {
  std::vector<std::string> unread;
  collect(document, kDocument, "", unread);
  if (!document.is_object()) return unread;
  const json none;
  const auto part = [&](const char* key) -> const json& {
    const auto found = document.find(key);
    return found == document.end() ? none : *found;
  };
  collect(part("model"), kModel, "model.", unread);
  const json& added = part("added_tokens");
  for (std::size_t i = 0; added.is_array() && i < added.size(); ++i)
    collect(added[i], kAddedToken, "added_tokens[" + std::to_string(i) + "].", unread);
  for (const char* section : {"normalizer", "pre_tokenizer", "post_processor", "decoder"})
    collect_component(part(section), section, 0, unread);
  return unread;
}

}  // namespace elastify::tokenizer_json
