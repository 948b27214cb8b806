// Typed reading of tokenizer.json: every wrong type is an error that names the place.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"

namespace elastify::tokenizer_json {

using nlohmann::json;

// Null and absent are the same thing in these files.
inline const json* find(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

inline const json& need(const json& object, const char* key, const std::string& where) {
  if (!object.is_object()) fail_data("tokenizer.json: {} should be an object", where);
  const json* value = find(object, key);
  if (value == nullptr) fail_data("tokenizer.json: {} lacks \"{}\"", where, key);
  return *value;
}

inline std::string text(const json& object, const char* key, const std::string& where) {
  const json& value = need(object, key, where);
  if (!value.is_string()) fail_data("tokenizer.json: {}.{} should be a string", where, key);
  return value.get<std::string>();
}

inline bool flag(const json& object, const char* key, bool fallback, const std::string& where) {
  const json* value = find(object, key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) fail_data("tokenizer.json: {}.{} should be true or false", where, key);
  return value->get<bool>();
}

// An id or a count: 0 to 2^31 - 1.
inline std::int32_t count(const json& value, const std::string& where) {
  if (!value.is_number_integer() || value < 0 || value > 0x7FFFFFFF) {
    fail_data("tokenizer.json: {} should be a whole number from 0, found {}", where, value.dump().substr(0, 100));
  }
  return value.get<std::int32_t>();
}

inline const json& list(const json& object, const char* key, const std::string& where) {
  const json& value = need(object, key, where);
  if (!value.is_array()) fail_data("tokenizer.json: {}.{} should be a list", where, key);
  return value;
}

// A component's "type".
inline std::string type_of(const json& component, const std::string& where) { return text(component, "type", where); }

}  // namespace elastify::tokenizer_json
