#include "fields.hpp"

#include <algorithm>
#include <cmath>

#include "api_error.hpp"

namespace elrt::serve {
namespace {

using nlohmann::json;

// The value for a message: short, and text whatever it holds.
std::string shown(const json& value) {
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > 80 ? text.substr(0, 80) + "..." : text;
}

[[noreturn]] void wrong(const char* name, const std::string& expected, const json& found) {
  throw ApiError(400, std::string(name) + " should be " + expected + "; found " + shown(found), name, "invalid_value");
}

std::string shown(double number) { return shown(json(number)); }

}  // namespace

const json* Fields::find(const char* name) const {
  const auto at = object_.find(name);
  return at == object_.end() || at->is_null() ? nullptr : &*at;
}

std::optional<bool> Fields::flag(const char* name) const {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) wrong(name, "true or false", *value);
  return value->get<bool>();
}

std::optional<std::string> Fields::text(const char* name) const {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) wrong(name, "text", *value);
  return value->get<std::string>();
}

std::optional<double> Fields::number(const char* name, double low, double high) const {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const double found = value->is_number() ? value->get<double>() : std::nan("");
  if (!(found >= low && found <= high)) wrong(name, "a number from " + shown(low) + " to " + shown(high), *value);
  return found;
}

std::optional<std::int64_t> Fields::whole(const char* name, std::int64_t low, std::int64_t high) const {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const double found = value->is_number() ? value->get<double>() : std::nan("");
  if (!(found >= static_cast<double>(low) && found <= static_cast<double>(high) && found == std::floor(found)))
    wrong(name, "a whole number from " + std::to_string(low) + " to " + std::to_string(high), *value);
  return static_cast<std::int64_t>(found);
}

std::optional<Fields> Fields::object(const char* name) const {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) wrong(name, "an object", *value);
  return Fields(*value);
}

std::vector<std::string> Fields::texts(const char* name, std::size_t most) const {
  const json* value = find(name);
  if (value == nullptr) return {};
  std::vector<std::string> all;
  const std::string expected = "text, or a list of up to " + std::to_string(most) + " texts, none of them empty";
  const auto take = [&](const json& item) {
    if (!item.is_string() || item.get_ref<const std::string&>().empty()) wrong(name, expected, *value);
    all.push_back(item.get<std::string>());
  };
  if (value->is_array()) {
    if (value->size() > most) wrong(name, expected, *value);
    std::for_each(value->begin(), value->end(), take);
  } else {
    take(*value);
  }
  return all;
}

void Fields::refuse(const char* name, const std::vector<json>& harmless) const {
  const json* value = find(name);
  if (value == nullptr || std::find(harmless.begin(), harmless.end(), *value) != harmless.end()) return;
  throw ApiError(400, std::string(name) + " is not supported by this server; leave it out; found " + shown(*value),
                 name, "unsupported_parameter");
}

}  // namespace elrt::serve
