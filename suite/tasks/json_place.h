// A value of a JSON file together with its place, so that a problem names where it stands: "mail.json relations[2:asks]
// .slots: ...". Problems are collected, never thrown.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/files.h"

namespace elastify {

class JsonPlace {
 public:
  JsonPlace(const nlohmann::json& value, std::string file, std::string path, std::vector<std::string>& problems)
      : value_(&value), file_(std::move(file)), path_(std::move(path)), problems_(&problems) {}

  const nlohmann::json& value() const { return *value_; }
  void problem(const std::string& text) const;

  // The member; a missing one is a problem for get, none for find.
  std::optional<JsonPlace> get(const std::string& key) const;
  std::optional<JsonPlace> find(const std::string& key) const;
  // Every element of a list; `name_key`, if given, is the member that names an element in paths. No list: a problem.
  std::vector<JsonPlace> elements(const char* name_key = nullptr) const;
  // Every member of an object, by name. No object: a problem.
  std::vector<std::pair<std::string, JsonPlace>> members() const;

  // False, with a problem, for anything but an object; other keys than these are problems.
  bool has_only(std::initializer_list<const char*> keys) const;
  // A text without line breaks, doubled spaces or spaces at its ends; empty, with a problem, otherwise.
  std::string text() const;
  std::vector<std::string> texts() const;

 private:
  const nlohmann::json* value_;
  std::string file_, path_;
  std::vector<std::string>* problems_;
};

// The document of a file, or nothing with a problem: not readable, not UTF-8, not JSON (with its line), a key twice in
// one object. `name` is what problems call the file.
std::optional<nlohmann::json> read_strict_json(const fs::path& path, const std::string& name,
                                               std::vector<std::string>& problems);

}  // namespace elastify
