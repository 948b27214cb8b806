#include "label/question_pairs.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "common/text_file.hpp"
#include "eval/task_reader.h"

namespace elastify {
namespace {

using nlohmann::json;

bool is_instruction(const json& item) {
  return item.is_object() && item.contains("instruction") && item.contains("output");
}

std::string text_of(const json& item, const char* key, const std::string& where) {
  if (!item.contains(key)) return {};
  if (!item.at(key).is_string())
    fail_data("{}: expected \"{}\" to be a text, found {}", where, key, item.at(key).type_name());
  return item.at(key).get<std::string>();
}

std::vector<TaskItem> from_instructions(const json& items, const fs::path& path) {
  std::vector<TaskItem> tasks;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string where = fmt::format("{} item {}", path.string(), i + 1);
    const json& item = items[i];
    if (!is_instruction(item)) fail_data("{}: expected an object with instruction, input and output", where);
    const std::string category = text_of(item, "category", where);
    TaskItem task;
    task.id = where;
    task.family = path.stem().string();
    task.context = text_of(item, "input", where);
    task.question = text_of(item, "instruction", where);
    task.options = {text_of(item, "output", where)};
    const bool answered = category.empty() || category == "closed_qa" || category == "information_extraction";
    if (answered && !task.context.empty() && !task.question.empty() && !task.options[0].empty())
      tasks.push_back(std::move(task));
  }
  return tasks;
}

std::vector<TaskItem> from_tasks(const fs::path& path) {
  std::vector<TaskItem> tasks;
  for (auto& item : read_task_file(path).items) {
    if (!item.leads.empty() || item.task.context.empty()) continue;
    item.task.options = {item.task.options[item.task.answer]};
    item.task.answer = 0;
    tasks.push_back(std::move(item.task));
  }
  return tasks;
}

}  // namespace

std::vector<TaskItem> read_question_pairs(const fs::path& path) {
  std::vector<TaskItem> tasks;
  json document;
  if (common::text_kind(path) == common::TextKind::kJson) document = read_json(path);
  const bool instructions = document.is_array() && !document.empty() && is_instruction(document[0]);
  tasks = instructions ? from_instructions(document, path) : from_tasks(path);
  if (tasks.empty()) fail_data("{}: expected questions with a context, found none", path.string());
  return tasks;
}

std::vector<TaskItem> choose_question_pairs(const std::vector<std::string>& paths, std::int64_t count) {
  std::vector<TaskItem> chosen;
  for (const auto& path : paths) {
    const auto all = read_question_pairs(path);
    const std::size_t wanted = std::min(all.size(), static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < wanted; ++i) chosen.push_back(all[i * all.size() / wanted]);
  }
  return chosen;
}

}  // namespace elastify
