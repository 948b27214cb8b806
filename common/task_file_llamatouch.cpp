// LlamaTouch's tasks: which app does this? Two columns (task, app), or the full table with a header.
#include <algorithm>

#include "common/delimited.hpp"
#include "common/error.hpp"
#include "common/task_file_parts.hpp"
#include "common/words.hpp"

namespace common {
namespace {

struct Columns {
  std::size_t task = 0, app = 1, count = 2;
};

// Takes the header away where there is one.
Columns find_columns(std::vector<DelimitedRecord>& records, const std::string& name) {
  const auto& first = records.front().fields;
  const auto task = std::find(first.begin(), first.end(), "description"),
             app = std::find(first.begin(), first.end(), "app");
  if (task != first.end() && app != first.end()) {
    const Columns columns{static_cast<std::size_t>(task - first.begin()), static_cast<std::size_t>(app - first.begin()),
                          first.size()};
    records.erase(records.begin());
    return columns;
  }
  if (first.size() == 2) return {};
  fail_data("{} line {}: expected task and app, or a header with description and app; found {} columns", name,
            records.front().line, first.size());
}

std::string trim(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t\r");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

}  // namespace

TaskFile read_llamatouch_tsv(std::string_view text, const fs::path& path) {
  auto records = read_delimited(text, '\t', path.string());
  const Columns columns = find_columns(records, path.string());
  std::vector<std::string> apps;
  std::map<std::string, std::size_t> known;  // by folded name
  std::vector<std::size_t> answers;
  for (const auto& record : records) {
    if (record.fields.size() != columns.count) {
      fail_data("{} line {}: expected {} columns, found {}", path.string(), record.line, columns.count,
                record.fields.size());
    }
    const std::string app = trim(record.fields[columns.app]);
    const auto [found, fresh] = known.emplace(fold_text(app), apps.size());
    if (fresh) apps.push_back(app);
    answers.push_back(found->second);
  }
  TaskFile file;
  for (std::size_t i = 0; i < records.size(); ++i) {
    EvalItem item;
    item.task.id = item_id(path, records[i].line);
    item.task.family = "llamatouch";
    item.task.question = records[i].fields[columns.task];
    item.task.options = apps;
    item.task.answer = answers[i];
    add_item(file, std::move(item), filled("{} line {}", path.string(), records[i].line));
  }
  return file;
}

}  // namespace common
