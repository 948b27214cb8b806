// Strict JSON configuration. A stage's settings are one plain struct with one visit() that names each field, its range
// and its meaning once; the same visit() reads a file, reports every problem at once, writes the resolved settings and
// describes them.
//
//   struct AnchorsConfig {
//     double share = 0.2;
//     template <typename V> void visit(V& v) { v.number("share", share, 0, 1, "of the layers"); }
//   };
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace elastify {

using nlohmann::json;

// Reads fields of one JSON object; problems are collected, never thrown, so that all are reported together.
class ConfigReader {
 public:
  ConfigReader(const json& object, std::string path, std::vector<std::string>& problems);

  void number(const char* key, double& field, double low, double high, const char* meaning = "");
  void integer(const char* key, std::int64_t& field, std::int64_t low, std::int64_t high, const char* meaning = "");
  void flag(const char* key, bool& field, const char* meaning = "");
  void text(const char* key, std::string& field, const char* meaning = "");
  void choice(const char* key, std::string& field, const std::vector<std::string>& allowed, const char* meaning = "");
  void texts(const char* key, std::vector<std::string>& field, const char* meaning = "");
  void integers(const char* key, std::vector<std::int64_t>& field, std::int64_t low, std::int64_t high,
                const char* meaning = "");

  template <typename Section>
  void section(const char* key, Section& section, const char* = "") {
    const json* value = take(key);
    if (value == nullptr) return;
    ConfigReader reader(*value, path_ + key + ".", problems_);
    section.visit(reader);
    reader.finish();
  }

  // Reports keys that no field claimed. Call once, after visit().
  void finish();

 private:
  const json* take(const char* key);
  void problem(const char* key, const std::string& expected, const json& found);

  const json& object_;
  std::string path_;
  std::vector<std::string>& problems_;
  std::set<std::string> known_;
};

// Writes every field with its present value.
class ConfigWriter {
 public:
  void number(const char* key, double& field, double, double, const char* = "") { object_[key] = field; }
  void integer(const char* key, std::int64_t& field, std::int64_t, std::int64_t, const char* = "") {
    object_[key] = field;
  }
  void flag(const char* key, bool& field, const char* = "") { object_[key] = field; }
  void text(const char* key, std::string& field, const char* = "") { object_[key] = field; }
  void choice(const char* key, std::string& field, const std::vector<std::string>&, const char* = "") {
    object_[key] = field;
  }
  void texts(const char* key, std::vector<std::string>& field, const char* = "") { object_[key] = field; }
  void integers(const char* key, std::vector<std::int64_t>& field, std::int64_t, std::int64_t, const char* = "") {
    object_[key] = field;
  }
  template <typename Section>
  void section(const char* key, Section& section, const char* = "") {
    ConfigWriter writer;
    section.visit(writer);
    object_[key] = writer.result();
  }
  const json& result() const { return object_; }

 private:
  json object_ = json::object();
};

// Every key with what may stand there: [{key, type, default, range, meaning}], sections as keys of type "section".
class ConfigDescriber {
 public:
  explicit ConfigDescriber(std::string path = "") : path_(std::move(path)) {}
  void number(const char* key, double& field, double low, double high, const char* meaning = "");
  void integer(const char* key, std::int64_t& field, std::int64_t low, std::int64_t high, const char* meaning = "");
  void flag(const char* key, bool& field, const char* meaning = "");
  void text(const char* key, std::string& field, const char* meaning = "");
  void choice(const char* key, std::string& field, const std::vector<std::string>& allowed, const char* meaning = "");
  void texts(const char* key, std::vector<std::string>& field, const char* meaning = "");
  void integers(const char* key, std::vector<std::int64_t>& field, std::int64_t low, std::int64_t high,
                const char* meaning = "");
  template <typename Section>
  void section(const char* key, Section& section, const char* meaning = "") {
    add(key, "section", nullptr, "", meaning);
    ConfigDescriber inner(path_ + key + ".");
    section.visit(inner);
    for (const auto& entry : inner.result()) keys_.push_back(entry);
  }
  const json& result() const { return keys_; }

 private:
  void add(const char* key, const char* type, json value, const std::string& range, const char* meaning);

  std::string path_;
  json keys_ = json::array();
};

// One `key.path=value` of the command line laid over `document`; value is JSON, or a string where it does not parse.
// Throws Error(kUsage) on a malformed override.
void apply_override(json& document, const std::string& assignment);

// Throws Error(kUsage) listing all problems, if there are any.
void throw_config_problems(const std::string& source, const std::vector<std::string>& problems);

// The JSON object of `path` with the overrides (KEY=VALUE) laid over it. Throws Error(kUsage): a settings file that
// cannot be read is a wrong command line, not damaged data.
json read_config_document(const std::filesystem::path& path, const std::vector<std::string>& overrides);

template <typename Config>
Config read_config(const json& document, const std::string& source) {
  Config config;
  std::vector<std::string> problems;
  ConfigReader reader(document, "", problems);
  config.visit(reader);
  reader.finish();
  throw_config_problems(source, problems);
  return config;
}

template <typename Config>
json describe_config() {
  Config config;
  ConfigDescriber describer;
  config.visit(describer);
  return describer.result();
}
// The same as tables in Markdown, one for each section.
std::string format_description(const json& keys);

template <typename Config>
json config_to_json(Config config) {
  ConfigWriter writer;
  config.visit(writer);
  return writer.result();
}

}  // namespace elastify
