// What decisions are worth, free of luck: by family and by objective, with standard errors.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

#include "label/comparison.h"

namespace elastify {

// Outcomes of the split's tasks asked again in other words: [tasks, M, D, P] bool each, in the order of
// OutcomeTable::rows(split); the first is the table's own.
using RepeatedOutcomes = std::vector<torch::Tensor>;

// `scores` is judge_policies() of the same split; `space` has a TLM. Bounds are best_decision()'s over the decisions
// that are feasible with one. {repeats, mean, families: {FAMILY: ...}, lattice: [{ttft, tpot, ...}]}, each of them
//   {hindsight, at_most, corrected, corrected_error, tlm, single, gain, gain_error, gap_closed}
// gain: tlm less single over the same tasks; gap_closed: its share of what `corrected` has over single, null where that
// is nothing. Errors are standard errors over tasks, each task being its mean over the objectives.
nlohmann::json yardstick(const PolicyScores& scores, const DecisionSpace& space, TaskSplit split,
                         const RepeatedOutcomes& repeats);

// One line for all tasks and one for each family.
std::string format_yardstick(const nlohmann::json& result);

}  // namespace elastify
