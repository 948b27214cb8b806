// What training and comparing decisions begin with.
#pragma once

#include "label/decision_training.h"
#include "label/label_config.h"
#include "tlm/prompt_scorer.h"

namespace elastify {

// The tasks of the files in the order of the table. Throws Error(kBadData) where a file has changed since.
std::vector<TaskItem> labelled_tasks(const LabelConfig& config, const OutcomeTable& table);

// One row per task, with places for an SLO.
std::vector<TlmRow> decision_rows(const std::vector<TaskItem>& tasks, const Tlm& tlm);

}  // namespace elastify
