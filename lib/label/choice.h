// Decisions by a rule (tlm/choice_rule.h), and where the rule comes from.
#pragma once

#include "label/decisions.h"
#include "tlm/choice_rule.h"

namespace elastify {

// The share of right answers, smoothed by one right and one wrong one, so that none is 0 or 1. right: [tasks, M, P].
torch::Tensor expected_accuracy(const torch::Tensor& right);
// The table that falls in neither direction, nearest in least squares by column, then by row (pool adjacent violators,
// Ayer et al. 1955): shares of decisions that can only help, without their noise.
torch::Tensor fit_monotone(const torch::Tensor& shares);

// The feasible decision of the most worth; nothing where none is feasible. Logits [M] and [P], feasible [M, P] bool.
std::optional<DecisionIndex> choose(const ChoiceRule& rule, const torch::Tensor& model_logits,
                                    const torch::Tensor& prompt_logits, const torch::Tensor& feasible);

// What a head says of validation tasks under one SLO.
struct ChoiceTrial {
  torch::Tensor model_logits, prompt_logits;  // [tasks, M], [tasks, P]
  SloView view;                               // of the same tasks
};
// Shares from the table's train rows; weight and fit by the trials: of the rules, from the simplest on (no head, shares
// that never fall), the earliest that is worse than the best by no more than one standard error of the difference
// (choose_earliest()). Then the shares of train and validation rows together. No trials: no head, shares as measured.
ChoiceRule fit_choice_rule(const OutcomeTable& table, const std::vector<ChoiceTrial>& trials);

}  // namespace elastify
