#include "tlm/compression_pairs.h"

#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "common/text_file.hpp"

namespace elastify {
namespace {

using nlohmann::json;

std::vector<json> read_objects(const fs::path& path) {
  std::vector<json> objects;
  if (common::text_kind(path) != common::TextKind::kJsonLines) {
    const json document = read_json(path);
    if (!document.is_array() && !document.is_object())
      fail_data("{}: expected an array or an object of pairs", path.string());
    for (const auto& item : document.items()) objects.push_back(item.value());
    return objects;
  }
  std::istringstream lines(common::read_text(path));
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    objects.push_back(parse_json(line, fmt::format("{} line {}", path.string(), number)));
  }
  return objects;
}

std::vector<std::string> texts_of(const json& value) {
  std::vector<std::string> texts;
  if (value.is_string()) return {value.get<std::string>()};
  if (!value.is_array()) return {};
  for (const auto& text : value) {
    if (!text.is_string()) return {};
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

}  // namespace

std::vector<CompressionPair> read_compression_pairs(const fs::path& path) {
  constexpr std::pair<const char*, const char*> kLayouts[] = {
      {"prompt_list", "compressed_prompt_list"}, {"prompt", "compressed_prompt"}, {"origin", "comp"}};
  std::vector<CompressionPair> pairs;
  std::size_t index = 0;
  for (const auto& object : read_objects(path)) {
    ++index;
    std::vector<std::string> originals, compressed;
    for (const auto& [from, to] : kLayouts) {
      if (!object.is_object() || !object.contains(from) || !object.contains(to)) continue;
      originals = texts_of(object.at(from));
      compressed = texts_of(object.at(to));
      break;
    }
    if (originals.empty() || originals.size() != compressed.size()) {
      fail_data(
          "{} item {}: expected prompt_list and compressed_prompt_list of equal length, prompt and compressed_prompt, "
          "or origin and comp",
          path.string(), index);
    }
    for (std::size_t i = 0; i < originals.size(); ++i) pairs.push_back({originals[i], compressed[i]});
  }
  if (pairs.empty()) fail_data("{}: expected pairs of texts, found none", path.string());
  return pairs;
}

}  // namespace elastify
