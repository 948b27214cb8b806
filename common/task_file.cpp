#include "common/task_file.hpp"

#include <set>

#include "common/error.hpp"
#include "common/json.hpp"
#include "common/task_file_parts.hpp"
#include "common/text_file.hpp"
#include "common/words.hpp"

namespace common {
namespace {

using nlohmann::json;

constexpr char kLayouts[] =
    "expected question, options and answer (see README, \"Accuracy on tasks\"), or query, choices and gold, or "
    "context_options, continuation and gold";

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

json parse_line(std::string_view line, const std::string& where) {
  json object = parse_json(line, where);
  if (!object.is_object()) fail_data("{}: expected an object, found {}", where, object.type_name());
  return object;
}

// Calls use(line, number) for lines that are not blank, until it returns false.
template <typename F>
void for_each_line(std::string_view text, F&& use) {
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    const auto line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (!is_blank(line) && !use(line, number)) return;
  }
}

TaskFile read_own(const fs::path& path, TaskOptions options) {
  TaskFile file;
  for (auto& task : read_tasks(path, options)) file.items.push_back({std::move(task)});
  return file;
}

TaskFile read_jsonl(std::string_view text, const fs::path& path, TaskOptions options) {
  json first;
  std::string where;
  for_each_line(text, [&](std::string_view line, std::size_t number) {
    where = filled("{} line {}", path.string(), number);
    first = parse_line(line, where);
    return false;
  });
  if (first.contains("question")) return read_own(path, options);
  if (first.contains("query") && first.contains("choices")) return read_foundry_choices(text, path);
  if (first.contains("context_options")) return read_foundry_schemas(text, path);
  std::string keys;
  for (const auto& field : first.items()) keys += (keys.empty() ? "" : ", ") + field.key();
  fail_data("{}: {}; found {}", where, kLayouts, keys.empty() ? "no fields" : keys.substr(0, 200));
}

// A file whose name tells nothing is told by its first character.
TaskFile read_by_extension(std::string_view text, const fs::path& path, TaskOptions options) {
  const std::string extension = lower_extension(path);
  const TextKind kind = text_kind(path);
  const char first = text[text.find_first_not_of(" \t\r\n")];
  if (kind == TextKind::kJsonLines || (kind == TextKind::kPlain && first == '{'))
    return read_jsonl(text, path, options);
  if (kind == TextKind::kJson || (kind == TextKind::kPlain && first == '[')) return read_request_trace(text, path);
  if (extension == ".csv") return read_octopus_csv(text, path);
  if (extension == ".tsv") return read_llamatouch_tsv(text, path);
  fail_data("{} holds no tasks: expected .jsonl, .ndjson, .json, .csv or .tsv, found {}", path.string(),
            extension.empty() ? "no extension" : extension);
}

}  // namespace

const json& JsonLine::get(const char* key) const {
  const auto found = object_.find(key);
  if (found == object_.end()) fail_data("{}: {} is missing", where_, key);
  return *found;
}

std::string JsonLine::text(const char* key) const {
  if (!get(key).is_string()) fail_data("{}: {}: expected a text, found {}", where_, key, get(key).type_name());
  return get(key).get<std::string>();
}

std::vector<std::string> JsonLine::texts(const char* key) const {
  std::vector<std::string> texts;
  if (!get(key).is_array()) fail_data("{}: {}: expected a list of texts, found {}", where_, key, get(key).type_name());
  for (const auto& element : get(key)) {
    if (!element.is_string())
      fail_data("{}: {}: expected a list of texts, found {} in it", where_, key, element.type_name());
    texts.push_back(element.get<std::string>());
  }
  return texts;
}

std::size_t JsonLine::index(const char* key) const {
  if (!get(key).is_number_unsigned()) {
    fail_data("{}: {}: expected the index of an option, from 0, found {}", where_, key,
              get(key).dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 80));
  }
  return get(key).get<std::size_t>();
}

void for_each_json_line(std::string_view text, const fs::path& path,
                        const std::function<void(const JsonLine&, std::size_t)>& use) {
  for_each_line(text, [&](std::string_view line, std::size_t number) {
    const std::string where = filled("{} line {}", path.string(), number);
    const json object = parse_line(line, where);
    use(JsonLine(object, where), number);
    return true;
  });
}

std::string item_id(const fs::path& path, std::size_t number) {
  return filled("{}:{}", path.filename().string(), number);
}

void add_item(TaskFile& file, EvalItem item, const std::string& where) {
  const TaskItem& task = item.task;
  if (task.options.size() < 2) fail_data("{}: expected at least two options, found {}", where, task.options.size());
  for (std::size_t i = 0; i < task.options.size(); ++i) {
    if (is_blank(task.options[i])) fail_data("{}: option {} is empty", where, i);
  }
  if (task.answer >= task.options.size()) {
    fail_data("{}: expected the index of an option, 0 to {}, as the answer, found {}", where, task.options.size() - 1,
              task.answer);
  }
  if (item.leads.empty()) {
    std::set<std::string> seen, folded;
    for (const auto& option : task.options) {
      seen.insert(option);
      folded.insert(fold_text(option));
    }
    if (seen.size() < task.options.size()) return void(++file.left_out["options of equal text"]);
    if (folded.contains(fold_text(task.question)))
      return void(++file.left_out["a question that is one of its own options"]);
  }
  file.items.push_back(std::move(item));
}

TaskFile read_task_file(const fs::path& path, TaskOptions options) {
  const std::string text = read_text(path);
  if (is_blank(text)) fail_data("{} is empty: expected one task a line", path.string());
  TaskFile file = read_by_extension(text, path, options);
  if (!file.items.empty()) return file;
  std::string why;
  for (const auto& [reason, count] : file.left_out)
    why += filled("{}{} with {}", why.empty() ? ": " : ", ", count, reason);
  fail_data("{} holds no tasks that can be scored{}", path.string(), why);
}

}  // namespace common
