// Which tasks train and judge the tiny language model.
#pragma once

#include <string>
#include <vector>

#include "data/item.h"
#include "label/label_config.h"
#include "label/label_work.h"

namespace elastify {

// The tasks of the files that are asked after a prompt of their own (not public sets' continuations of several leads).
std::vector<TaskItem> read_own_tasks(const std::vector<std::string>& paths);

enum class TaskHalf { kFirst, kSecond, kAll };
// Of every family the half of its tasks in file order, and of these `count` at even distances (0: all), families in
// order of their names.
std::vector<TaskItem> choose_tasks(const std::vector<TaskItem>& tasks, TaskHalf half, std::int64_t count);

std::int64_t task_checksum(const TaskItem& task);

// Everything that the label stage asks: prompts compressed at every level, as label.ranking says. `seed`: of what is
// random there.
struct LabelTasks {
  std::vector<std::string> families;
  std::vector<PreparedTask> tasks;
};
LabelTasks prepare_tasks(const LabelConfig& config, const DualHead& model, const elrt::WordPiece& vocabulary,
                         std::uint64_t seed);

// A prompt at every level by given word scores.
void compress_levels(PreparedTask& task, const WordedPrompt& prompt, const std::vector<float>& scores,
                     const std::vector<std::int64_t>& prompt_levels);

// The word rows of training tasks, labelled by the language model of `artifact`, on `threads` threads (0: all cores);
// tasks that exceed its context are left out.
std::vector<LabelledRow> induced_rows(const std::vector<TaskItem>& tasks, const elrt::WordPiece& vocabulary,
                                      const fs::path& artifact, const TlmStageConfig& config, const SloIds& slo,
                                      std::int64_t threads);
// The same for questions with a context: no word is labelled, all sentences are ranked by sentence_rises().
std::vector<LabelledRow> question_rows(const std::vector<TaskItem>& tasks, const elrt::WordPiece& vocabulary,
                                       const fs::path& artifact, const TlmStageConfig& config, const SloIds& slo,
                                       std::int64_t threads);
// The same from pairs of texts.
std::vector<LabelledRow> pair_rows(const std::vector<std::string>& paths, const elrt::WordPiece& vocabulary,
                                   const SloIds& slo, std::int64_t max_positions);

}  // namespace elastify
