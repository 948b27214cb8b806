#include "tasks/json_place.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"

namespace elastify {

using nlohmann::json;

void JsonPlace::problem(const std::string& text) const {
  problems_->push_back(path_.empty() ? fmt::format("{}: {}", file_, text)
                                     : fmt::format("{} {}: {}", file_, path_, text));
}

std::optional<JsonPlace> JsonPlace::find(const std::string& key) const {
  if (!value_->is_object()) return std::nullopt;
  const auto found = value_->find(key);
  if (found == value_->end()) return std::nullopt;
  return JsonPlace(*found, file_, path_.empty() ? key : path_ + "." + key, *problems_);
}

std::optional<JsonPlace> JsonPlace::get(const std::string& key) const {
  auto place = find(key);
  if (!place) problem(fmt::format("{} is missing", key));
  return place;
}

std::vector<JsonPlace> JsonPlace::elements(const char* name_key) const {
  std::vector<JsonPlace> places;
  if (!value_->is_array()) {
    problem(fmt::format("expected a list, found {}", value_->type_name()));
    return places;
  }
  for (std::size_t i = 0; i < value_->size(); ++i) {
    const json& element = (*value_)[i];
    std::string label = fmt::format("{}", i);
    if (name_key != nullptr && element.is_object() && element.contains(name_key) && element[name_key].is_string()) {
      label = fmt::format("{}:{}", i, element[name_key].get<std::string>());
    }
    places.emplace_back(element, file_, fmt::format("{}[{}]", path_, label), *problems_);
  }
  return places;
}

std::vector<std::pair<std::string, JsonPlace>> JsonPlace::members() const {
  std::vector<std::pair<std::string, JsonPlace>> places;
  if (!value_->is_object()) {
    problem(fmt::format("expected an object, found {}", value_->type_name()));
    return places;
  }
  for (const auto& item : value_->items()) places.emplace_back(item.key(), *find(item.key()));
  return places;
}

bool JsonPlace::has_only(std::initializer_list<const char*> keys) const {
  for (const auto& [key, place] : members()) {
    const bool known = std::any_of(keys.begin(), keys.end(), [&key = key](const char* k) { return key == k; });
    if (!known) place.problem(fmt::format("unknown key; known here: {}", fmt::join(keys, ", ")));
  }
  return value_->is_object();
}

std::string JsonPlace::text() const {
  if (!value_->is_string()) {
    problem(fmt::format("expected a text, found {}", value_->type_name()));
    return "";
  }
  const auto text = value_->get<std::string>();
  if (text.empty())
    problem("is empty");
  else if (text.find_first_of("\n\r\t") != std::string::npos)
    problem(fmt::format("holds a line break or a tab: \"{}\"", text));
  else if (text.front() == ' ' || text.back() == ' ' || text.find("  ") != std::string::npos) {
    problem(fmt::format("holds a doubled space or one at an end: \"{}\"", text));
  } else {
    return text;
  }
  return "";
}

std::vector<std::string> JsonPlace::texts() const {
  std::vector<std::string> texts;
  for (const auto& place : elements()) {
    if (auto text = place.text(); !text.empty()) texts.push_back(std::move(text));
  }
  return texts;
}

std::optional<json> read_strict_json(const fs::path& path, const std::string& name,
                                     std::vector<std::string>& problems) {
  try {
    return parse_json(read_file(path), name);
  } catch (const Error& error) {
    problems.push_back(error.what());
    return std::nullopt;
  }
}

}  // namespace elastify
