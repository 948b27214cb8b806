// What the readers of the single layouts share. Each takes the file's text, already known to be UTF-8, and its path.
#pragma once

#include <nlohmann/json.hpp>

#include <functional>
#include <string>
#include <string_view>

#include "common/task_file.hpp"

namespace common {

TaskFile read_foundry_choices(std::string_view text, const fs::path& path);
TaskFile read_foundry_schemas(std::string_view text, const fs::path& path);
TaskFile read_request_trace(std::string_view text, const fs::path& path);
TaskFile read_octopus_csv(std::string_view text, const fs::path& path);
TaskFile read_llamatouch_tsv(std::string_view text, const fs::path& path);

// One JSON object of a .jsonl file. Every failure names file and line.
class JsonLine {
 public:
  JsonLine(const nlohmann::json& object, std::string where) : object_(object), where_(std::move(where)) {}
  const std::string& where() const { return where_; }
  std::string text(const char* key) const;
  std::vector<std::string> texts(const char* key) const;
  std::size_t index(const char* key) const;

 private:
  const nlohmann::json& get(const char* key) const;
  const nlohmann::json& object_;
  std::string where_;
};
void for_each_json_line(std::string_view text, const fs::path& path,
                        const std::function<void(const JsonLine&, std::size_t line)>& use);

std::string item_id(const fs::path& path, std::size_t number);  // "FILE:NUMBER"

// Adds `item`, or counts it in left_out where it cannot be scored. Throws Error(kBadData) opening with `where` on fewer
// than two options, on an empty one and on an answer out of range.
void add_item(TaskFile& file, EvalItem item, const std::string& where);

}  // namespace common
