// Who may choose a decision, from hindsight down to the full model whatever the SLO.
//
//   oracle       hindsight: right wherever any feasible decision is right
//   tlm          as served: the feasible decision of the most worth by the rule (tlm/choice_rule.h)
//   head         the decision-head alone: the feasible decision with the largest sum of its two heads' logits
//   single       one decision for all tasks of a family, chosen on validation for the SLO; the fallback where it is not
//                feasible
//   model_only   the whole prompt at the level that is best on validation among the feasible ones
//   prompt_only  the full model at the prompt level that is best on validation among the feasible ones
//   random       every feasible decision as likely
//   full         the full model and the whole prompt, whatever the SLO, decoding included
// All but the last decode at the level that the SLO leaves them (decisions.h). The last five ask no decision-head, so
// that its time does not count for them; the first three do not where the full decision keeps the SLO without one, and
// take that.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "label/decision_training.h"

namespace elastify {

inline const std::vector<std::string> kPolicies{"oracle",     "tlm",         "head",   "single",
                                                "model_only", "prompt_only", "random", "full"};

using Choice = std::optional<DecisionIndex>;  // nothing: no decision of the policy keeps the SLO

// What policies know of one task under one SLO; what is referred to must outlive it.
struct PolicyCase {
  const SloView &with, &without;              // of the same rows: with a decision-head to be asked, and without one
  std::int64_t row = 0;                       // of both
  torch::Tensor prior;                        // [M, P]: the family's shares of right answers on validation
  DecisionIndex single;                       // of single_decisions()
  std::vector<DecisionIndex> order;           // without.by_cost(row)
  torch::Tensor model_logits, prompt_logits;  // [M], [P] of the decision-head
  const ChoiceRule& rule;
};

// By any policy but "random", of which there is no one choice. `full` where it keeps the SLO. Throws
// Error(kInternal) for another name.
Choice choose(const std::string& policy, const PolicyCase& one);

// For every family the decision that is right and feasible most often among its validation tasks; `view` is theirs,
// `all` that of the whole table.
std::vector<DecisionIndex> single_decisions(const OutcomeTable& table, const torch::Tensor& validation,
                                            const SloView& view, const SloView& all);

// A policy's name as documents have it: "hindsight" for oracle, "as served" for tlm, ...
std::string policy_name(const std::string& policy);

}  // namespace elastify
