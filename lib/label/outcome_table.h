// What the language model answered to every task under every decision: stored once, so that labels for any SLO and
// device derive from it without the model.
#pragma once

#include <string>
#include <vector>

#include "base/files.h"
#include "base/torch.h"

namespace elastify {

enum class TaskSplit : std::int64_t { kTrain = 0, kValidation = 1, kTest = 2 };
inline const std::vector<std::string> kTaskSplits{"train", "validation", "test"};

// M model levels x P prompt levels, both rising percentages, the last of each 100. Of an answer, the first token comes
// from the prompt as a model level read it, all further ones are made at a decode level over that cache: one of the D =
// M model levels, up to the one that read. Outcomes that were not labelled, those above it and, in a table without
// phases, those below it, are -1.
struct OutcomeTable {
  std::vector<std::int64_t> model_levels, prompt_levels;
  std::vector<std::string> families;
  torch::Tensor task;           // [tasks] int64: checksum of the task's text
  torch::Tensor split;          // [tasks] int64: TaskSplit
  torch::Tensor family;         // [tasks] int64: index into families
  torch::Tensor answer;         // [tasks] int64: the right option
  torch::Tensor output_tokens;  // [tasks] int64: the right option's, of the language model
  torch::Tensor prompt_tokens;  // [tasks, P] int64: what the language model reads before an option
  torch::Tensor prompt_words;   // [tasks, P] int64: kept, of the counted ones
  torch::Tensor chosen;         // [tasks, M, D, P] int64: the option with the lowest mean loss
  torch::Tensor
      losses;  // [tasks, M, D, P, options] float64: mean nats per token of each option; -1 where a task has fewer

  std::int64_t tasks() const { return task.size(0); }
  bool phases() const;  // decode levels below the model levels were labelled
  torch::Tensor right() const { return chosen == answer.view({-1, 1, 1, 1}); }  // [tasks, M, D, P] bool
  torch::Tensor right_at_one_level() const;  // [tasks, M, P] bool: decoded at the model level
  // The rows of one split, in order: int64 indices.
  torch::Tensor rows(TaskSplit which) const { return (split == static_cast<std::int64_t>(which)).nonzero().squeeze(1); }
  OutcomeTable take_rows(const torch::Tensor& indices) const;
};

// One after the other. All have the same levels, decode levels and families; options are padded to the widest.
OutcomeTable join_tables(const std::vector<OutcomeTable>& parts);

// labels.h5. Equal tables give equal bytes.
void save_outcomes(const fs::path& path, const OutcomeTable& table);
// Throws Error(kBadData) naming file and dataset where anything is missing, of another shape or out of range; for a
// file of an earlier version, which has no decode levels, it says to label again.
OutcomeTable load_outcomes(const fs::path& path);

}  // namespace elastify
