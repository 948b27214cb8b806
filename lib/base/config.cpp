#include "base/config.h"

#include <cmath>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace elastify {

ConfigReader::ConfigReader(const json& object, std::string path, std::vector<std::string>& problems)
    : object_(object), path_(std::move(path)), problems_(problems) {
  if (!object_.is_object()) {
    problems_.push_back(
        fmt::format("{}: expected an object, found {}", path_.empty() ? "the file" : path_, object_.type_name()));
  }
}

const json* ConfigReader::take(const char* key) {
  known_.insert(key);
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(key);
  return found == object_.end() ? nullptr : &*found;
}

void ConfigReader::problem(const char* key, const std::string& expected, const json& found) {
  problems_.push_back(fmt::format("{}{}: expected {}, found {}", path_, key, expected, found.dump()));
}

void ConfigReader::number(const char* key, double& field, double low, double high, const char*) {
  const json* value = take(key);
  if (value == nullptr) return;
  if (value->is_number() && value->get<double>() >= low && value->get<double>() <= high) {
    field = value->get<double>();
  } else {
    problem(key, fmt::format("a number in [{}, {}]", low, high), *value);
  }
}

void ConfigReader::integer(const char* key, std::int64_t& field, std::int64_t low, std::int64_t high, const char*) {
  const json* value = take(key);
  if (value == nullptr) return;
  const bool fits = value->is_number_unsigned() ? value->get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX)
                                                : value->is_number_integer();
  if (fits && value->get<std::int64_t>() >= low && value->get<std::int64_t>() <= high) {
    field = value->get<std::int64_t>();
  } else {
    problem(key, fmt::format("a whole number in [{}, {}]", low, high), *value);
  }
}

void ConfigReader::flag(const char* key, bool& field, const char*) {
  const json* value = take(key);
  if (value == nullptr) return;
  if (value->is_boolean())
    field = value->get<bool>();
  else
    problem(key, "true or false", *value);
}

void ConfigReader::text(const char* key, std::string& field, const char*) {
  const json* value = take(key);
  if (value == nullptr) return;
  if (value->is_string())
    field = value->get<std::string>();
  else
    problem(key, "a string", *value);
}

void ConfigReader::choice(const char* key, std::string& field, const std::vector<std::string>& allowed, const char*) {
  const json* value = take(key);
  if (value == nullptr) return;
  for (const auto& word : allowed) {
    if (*value == word) {
      field = word;
      return;
    }
  }
  problem(key, fmt::format("one of {}", fmt::join(allowed, ", ")), *value);
}

void ConfigReader::texts(const char* key, std::vector<std::string>& field, const char*) {
  const json* value = take(key);
  if (value == nullptr) return;
  std::vector<std::string> read;
  bool good = value->is_array();
  for (const auto& item : good ? *value : json::array()) {
    good = good && item.is_string();
    if (good) read.push_back(item.get<std::string>());
  }
  if (good)
    field = read;
  else
    problem(key, "a list of strings", *value);
}

void ConfigReader::integers(const char* key, std::vector<std::int64_t>& field, std::int64_t low, std::int64_t high,
                            const char*) {
  const json* value = take(key);
  if (value == nullptr) return;
  std::vector<std::int64_t> read;
  bool good = value->is_array();
  for (const auto& item : good ? *value : json::array()) {
    const bool fits = item.is_number_unsigned() ? item.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX)
                                                : item.is_number_integer();
    good = good && fits && item.get<std::int64_t>() >= low && item.get<std::int64_t>() <= high;
    if (good) read.push_back(item.get<std::int64_t>());
  }
  if (good)
    field = read;
  else
    problem(key, fmt::format("a list of whole numbers in [{}, {}]", low, high), *value);
}

void ConfigReader::finish() {
  if (!object_.is_object()) return;
  for (const auto& item : object_.items()) {
    if (known_.count(item.key()) != 0) continue;
    problems_.push_back(fmt::format("{}{}: unknown key; known here: {}", path_, item.key(), fmt::join(known_, ", ")));
  }
}

void ConfigDescriber::add(const char* key, const char* type, json value, const std::string& range,
                          const char* meaning) {
  keys_.push_back(
      {{"key", path_ + key}, {"type", type}, {"default", std::move(value)}, {"range", range}, {"meaning", meaning}});
}

void ConfigDescriber::number(const char* key, double& field, double low, double high, const char* meaning) {
  add(key, "number", field, fmt::format("{} to {}", low, high), meaning);
}
void ConfigDescriber::integer(const char* key, std::int64_t& field, std::int64_t low, std::int64_t high,
                              const char* meaning) {
  add(key, "whole number", field, high == INT64_MAX ? fmt::format("from {}", low) : fmt::format("{} to {}", low, high),
      meaning);
}
void ConfigDescriber::flag(const char* key, bool& field, const char* meaning) {
  add(key, "flag", field, "true, false", meaning);
}
void ConfigDescriber::text(const char* key, std::string& field, const char* meaning) {
  add(key, "text", field, "", meaning);
}
void ConfigDescriber::choice(const char* key, std::string& field, const std::vector<std::string>& allowed,
                             const char* meaning) {
  add(key, "choice", field, fmt::format("{}", fmt::join(allowed, ", ")), meaning);
}
void ConfigDescriber::texts(const char* key, std::vector<std::string>& field, const char* meaning) {
  add(key, "list of texts", field, "", meaning);
}
void ConfigDescriber::integers(const char* key, std::vector<std::int64_t>& field, std::int64_t low, std::int64_t high,
                               const char* meaning) {
  add(key, "list of whole numbers", field, fmt::format("{} to {} each", low, high), meaning);
}

std::string format_description(const json& keys) {
  const auto parent = [](const std::string& key) {
    const auto dot = key.rfind('.');
    return dot == std::string::npos ? std::string() : key.substr(0, dot);
  };
  std::vector<std::string> sections = {""};
  std::map<std::string, std::string> meanings, rows;
  for (const auto& entry : keys) {
    const auto key = entry.at("key").get<std::string>(), meaning = entry.at("meaning").get<std::string>();
    if (entry.at("type") == "section") {
      sections.push_back(key);
      meanings[key] = meaning;
      continue;
    }
    const std::string name = key.substr(parent(key).empty() ? 0 : parent(key).size() + 1);
    rows[parent(key)] += fmt::format("| `{}` | `{}` | {} | {} |\n", name, entry.at("default").dump(),
                                     entry.at("range").get<std::string>(), meaning);
  }
  std::string text;
  for (const auto& section : sections) {
    if (!section.empty()) text += fmt::format("\n### `{}`: {}\n\n", section, meanings[section]);
    if (rows.count(section) != 0) text += "| key | default | range | meaning |\n|---|---|---|---|\n" + rows[section];
  }
  return text;
}

void apply_override(json& document, const std::string& assignment) {
  const auto equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    fail_usage("--set {}: expected KEY=VALUE, for example --set finetune.steps=100", assignment);
  }
  json* target = &document;
  const std::string key = assignment.substr(0, equals);
  for (std::size_t begin = 0; begin <= key.size();) {
    const auto dot = std::min(key.find('.', begin), key.size());
    if (!target->is_object() && !target->is_null()) {
      fail_usage("--set {}: {} is not a section", assignment, key.substr(0, begin == 0 ? 0 : begin - 1));
    }
    target = &(*target)[key.substr(begin, dot - begin)];
    begin = dot + 1;
  }
  const std::string value = assignment.substr(equals + 1);
  if (!json::accept(value)) {  // a plain word
    *target = value;
    return;
  }
  try {
    *target = parse_json(value, "--set " + assignment);
  } catch (const Error& error) {
    throw Error(ErrorCode::kUsage, error.what());
  }
}

void throw_config_problems(const std::string& source, const std::vector<std::string>& problems) {
  if (problems.empty()) return;
  fail_usage("{}: {} problem{}: {}", source, problems.size(), problems.size() == 1 ? "" : "s",
             fmt::join(problems, "; "));
}

json read_config_document(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  json document;
  try {
    document = read_json(path);
  } catch (const Error& error) {
    throw Error(ErrorCode::kUsage, error.what());
  }
  for (const auto& assignment : overrides) apply_override(document, assignment);
  return document;
}

}  // namespace elastify
