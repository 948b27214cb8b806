// The labelling itself: a folder of prepared tasks that any number of processes works through.
//
//   plan.json      {artifact, model_levels, prompt_levels, families, tasks, chunk_tasks, phases}
//   tasks.jsonl    one object a line: {checksum, split, family, options, answer, prompts: [one text per prompt level],
//   words: [..]} N.h5           the outcomes of chunk N (an OutcomeTable), whole or absent N.lock         held (flock)
//   by the process that works on chunk N; freed by the system if it dies
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/files.h"
#include "label/outcome_table.h"

namespace elastify {

struct PreparedTask {
  std::int64_t checksum = 0;
  TaskSplit split = TaskSplit::kTrain;
  std::int64_t family = 0;  // index
  std::vector<std::string> options;
  std::size_t answer = 0;
  std::vector<std::string> prompts;  // per prompt level
  std::vector<std::int64_t> words;   // kept, per prompt level
};

struct LabelPlan {
  fs::path artifact;
  std::vector<std::int64_t> model_levels, prompt_levels;
  std::vector<std::string> families;
  std::int64_t chunk_tasks = 8;
  bool phases = true;  // outcomes of every decode level up to the model level; false: of the model level alone
};

// Writes both files of `work`, which exists; leaves alone what is there already, so that a run goes on. plan.json comes
// last: a folder that has it is complete.
void prepare_label_work(const fs::path& work, const LabelPlan& plan, const std::vector<PreparedTask>& tasks);

// Works on every chunk that is neither done nor another process's, on `threads` threads (0: all cores), until all are
// done: waits for chunks of others, and takes over those of processes that died. Outcomes depend on nothing but the
// folder. Throws Error(kBadData) for a damaged folder or a task that does not fit the model's context.
void run_label_work(const fs::path& work, std::int64_t threads);

// All chunks' outcomes in the order of the tasks. Throws Error(kBadData) where one is missing.
OutcomeTable collect_label_work(const fs::path& work);

}  // namespace elastify
