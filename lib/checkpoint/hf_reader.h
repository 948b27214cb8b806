// Typed access to the config.json of a Hugging Face checkpoint.
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace elastify {

// Null counts as missing, as in the files that transformers writes. Every getter throws Error(kBadData) that names the
// source, the key, what was expected and what was found. Remembers which keys were asked for. The document must outlive
// the reader.
class HfReader {
 public:
  HfReader(const nlohmann::json& document, const std::string& source) : document_(document), source_(source) {
    if (!document.is_object()) fail_data("{}: expected a JSON object, found {}", source, document.type_name());
  }
  const std::string& source() const { return source_; }
  bool has(const char* key) const {
    asked_.insert(key);
    return document_.contains(key) && !document_[key].is_null();
  }
  std::int64_t integer(const char* key) const {
    if (!has(key)) fail_data("{}: {} is missing", source_, key);
    const nlohmann::json& value = document_[key];
    if (!value.is_number_integer()) fail_data("{}: {} must be a whole number, found {}", source_, key, value.dump());
    return value.get<std::int64_t>();
  }
  std::int64_t integer(const char* key, std::int64_t otherwise) const { return has(key) ? integer(key) : otherwise; }
  double number(const char* key) const {
    if (!has(key)) fail_data("{}: {} is missing", source_, key);
    const nlohmann::json& value = document_[key];
    if (!value.is_number()) fail_data("{}: {} must be a number, found {}", source_, key, value.dump());
    return value.get<double>();
  }
  double number(const char* key, double otherwise) const { return has(key) ? number(key) : otherwise; }
  bool flag(const char* key, bool otherwise) const {
    if (!has(key)) return otherwise;
    const nlohmann::json& value = document_[key];
    if (!value.is_boolean()) fail_data("{}: {} must be true or false, found {}", source_, key, value.dump());
    return value.get<bool>();
  }
  std::string text(const char* key, const std::string& otherwise) const {
    if (!has(key)) return otherwise;
    const nlohmann::json& value = document_[key];
    if (!value.is_string()) fail_data("{}: {} must be a string, found {}", source_, key, value.dump());
    return value.get<std::string>();
  }
  std::vector<std::string> texts(const char* key) const {
    std::vector<std::string> all;
    if (!has(key)) return all;
    const nlohmann::json& value = document_[key];
    for (const auto& item : value.is_array() ? value : nlohmann::json::array({value})) {
      if (!item.is_string()) fail_data("{}: {} must be a list of strings, found {}", source_, key, value.dump());
      all.push_back(item.get<std::string>());
    }
    return all;
  }
  std::vector<double> numbers(const char* key) const {
    std::vector<double> all;
    if (!has(key)) fail_data("{}: {} is missing", source_, key);
    const nlohmann::json& value = document_[key];
    const bool fits =
        value.is_array() && std::all_of(value.begin(), value.end(), [](auto& n) { return n.is_number(); });
    if (!fits) fail_data("{}: {} must be a list of numbers, found {}", source_, key, value.dump().substr(0, 64));
    for (const auto& item : value) all.push_back(item.template get<double>());
    return all;
  }
  HfReader section(const char* key) const { return HfReader(document_.at(key), source_ + " " + key); }
  // Names of members whose value is an object.
  std::vector<std::string> subsections() const {
    std::vector<std::string> names;
    for (const auto& item : document_.items()) {
      if (item.value().is_object()) names.push_back(item.key());
    }
    return names;
  }
  // Keys with a value that nobody asked for, sorted.
  std::vector<std::string> unread() const {
    std::vector<std::string> names;
    for (const auto& item : document_.items()) {
      if (!item.value().is_null() && asked_.count(item.key()) == 0) names.push_back(item.key());
    }
    return names;
  }

 private:
  const nlohmann::json& document_;
  std::string source_;
  mutable std::set<std::string> asked_;
};

// One line for people that names the keys that nobody asked for, those apart that say nothing about what a model
// computes; empty: there are none.
std::string unread_note(const HfReader& reader);

}  // namespace elastify
