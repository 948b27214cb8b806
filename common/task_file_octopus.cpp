// Octopus' function choice, as the ElastiLM release has it: question, one column per function, letter of the right one.
#include "common/delimited.hpp"
#include "common/error.hpp"
#include "common/task_file_parts.hpp"

namespace common {

TaskFile read_octopus_csv(std::string_view text, const fs::path& path) {
  TaskFile file;
  for (auto& record : read_delimited(text, ',', path.string())) {
    const std::string where = filled("{} line {}", path.string(), record.line);
    auto& fields = record.fields;
    const std::string letter = fields.back();
    if (fields.size() < 4 || letter.size() != 1 || letter[0] < 'A' || letter[0] > 'Z') {
      fail_data("{}: expected a question, two or more options and a letter, found {} columns, the last one \"{}\"",
                where, fields.size(), letter.substr(0, 40));
    }
    EvalItem item;
    item.task.id = item_id(path, record.line);
    item.task.family = "octopus";
    item.task.question = fields.front();
    item.task.options.assign(fields.begin() + 1, fields.end() - 1);
    item.task.answer = static_cast<std::size_t>(letter[0] - 'A');
    add_item(file, std::move(item), where);
  }
  return file;
}

}  // namespace common
