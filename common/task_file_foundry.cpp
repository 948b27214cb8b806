// The JSONL of llm-foundry's evaluation data (ARC, OpenBookQA, BoolQ, PIQA, WinoGrande, ...).
#include "common/error.hpp"
#include "common/task_file_parts.hpp"

namespace common {
namespace {

// "Passage: ...\nQuestion: ...": a context to read, and what is asked about it.
void set_query(TaskItem& task, const std::string& query) {
  const auto cut = query.rfind("\nQuestion: ");
  if (cut == std::string::npos) {
    task.question = query;
  } else {
    task.context = query.substr(0, cut);
    task.question = query.substr(cut + 1);
  }
}

// As these sets are usually asked: a question is followed by "Answer:"; a sentence that an option ends (COPA, much of
// OpenBookQA) and a list of choices that has its own "Answer:" (CommonsenseQA) by the option itself.
std::string cue_after(const std::string& query) {
  const auto last = query.find_last_not_of(" \t\r\n");
  return last != std::string::npos && query[last] == '?' ? "\nAnswer:" : "";
}

EvalItem new_item(const fs::path& path, std::size_t line) {
  EvalItem item;
  item.task.id = item_id(path, line);
  item.task.family = path.stem().string();
  return item;
}

}  // namespace

TaskFile read_foundry_choices(std::string_view text, const fs::path& path) {
  TaskFile file;
  for_each_json_line(text, path, [&](const JsonLine& fields, std::size_t line) {
    EvalItem item = new_item(path, line);
    set_query(item.task, fields.text("query"));
    item.cue = cue_after(item.task.question);
    item.task.options = fields.texts("choices");
    item.task.answer = fields.index("gold");
    add_item(file, std::move(item), fields.where());
  });
  return file;
}

// One continuation after several beginnings: what differs stands before what is scored.
TaskFile read_foundry_schemas(std::string_view text, const fs::path& path) {
  TaskFile file;
  for_each_json_line(text, path, [&](const JsonLine& fields, std::size_t line) {
    EvalItem item = new_item(path, line);
    item.leads = fields.texts("context_options");
    item.task.options.assign(item.leads.size(), fields.text("continuation"));
    item.task.answer = fields.index("gold");
    for (const auto& lead : item.leads) {
      if (lead.empty()) fail_data("{}: one of context_options is empty", fields.where());
    }
    if (item.leads.size() == 2 && item.leads[0] == item.leads[1])
      fail_data("{}: both context_options are equal", fields.where());
    add_item(file, std::move(item), fields.where());
  });
  return file;
}

}  // namespace common
