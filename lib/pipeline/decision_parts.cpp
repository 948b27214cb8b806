#include "pipeline/decision_parts.h"

#include <map>

#include "base/error.h"
#include "label/task_sets.h"

namespace elastify {

std::vector<TaskItem> labelled_tasks(const LabelConfig& config, const OutcomeTable& table) {
  std::map<std::int64_t, TaskItem> by_checksum;
  for (const auto* paths : {&config.train, &config.validation, &config.test}) {
    for (auto& task : read_own_tasks(*paths)) {
      const std::int64_t checksum = task_checksum(task);
      by_checksum.emplace(checksum, std::move(task));
    }
  }
  std::vector<TaskItem> tasks;
  for (std::int64_t i = 0; i < table.tasks(); ++i) {
    const auto found = by_checksum.find(table.task[i].item<std::int64_t>());
    if (found == by_checksum.end())
      fail_data("labels.h5 names a task that the task files do not have: run the label stage again");
    tasks.push_back(found->second);
  }
  return tasks;
}

std::vector<TlmRow> decision_rows(const std::vector<TaskItem>& tasks, const Tlm& tlm) {
  std::vector<TlmRow> rows;
  const auto room = static_cast<std::size_t>(tlm.model.body.max_positions - kRowTokens);
  for (const auto& task : tasks) {
    const auto pieces = word_prompt(task, tlm.vocabulary).pieces;
    rows.push_back(make_row(tlm.vocabulary, elrt::decision_pieces(pieces.tokens, room), tlm.model.slo.ids(1, 1)));
  }
  return rows;
}

}  // namespace elastify
