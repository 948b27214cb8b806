// How good decisions are: policies side by side on held-out tasks.
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
// All but the last decode at the level that the SLO leaves them (decisions.h); with `one_level` at the model level, so
// that what a level for each phase gives is the difference. The last five ask no decision-head, so that its time does
// not count for them; the first three do not where the full decision keeps the SLO without one, and take that. An
// answer counts where it is right and its decision is predicted to keep the SLO.
#pragma once

#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <vector>

#include "base/plot.h"
#include "label/decision_training.h"

namespace elastify {

inline const std::vector<std::string> kPolicies{"oracle",     "tlm",         "head",   "single",
                                                "model_only", "prompt_only", "random", "full"};

// Every task of a split under every SLO, by policy: [tasks, slos] float64.
struct PolicyScores {
  std::vector<SloRatios> slos;
  std::map<std::string, torch::Tensor> right;  // 1 where the answer is right within the SLO; a share for `random`
  std::map<std::string, torch::Tensor> met;    // 1 where some decision keeps the SLO
};
// `data.space` and `without_tlm` are over the same table, which needs validation tasks.
PolicyScores judge_policies(const DualHead& model, const ChoiceRule& rule, const DecisionData& data,
                            const DecisionSpace& without_tlm, TaskSplit split);

// {tasks, lattice: [{ttft, tpot, POLICY: {accuracy, met}}], mean: {POLICY: {accuracy, met}}, gap_closed}: means over
// the lattice; gap_closed is the share of the gap from single to oracle that tlm closes (null where there is none).
nlohmann::json compare_decisions(const PolicyScores& scores);

// The same by decode levels as the SLOs leave them and, as its "one_level" (without tasks), by one level for both
// phases; without that where the outcomes have none other. `scores` of the first, if wanted. `data.space` is over
// `latency`, with a TLM and phases.
nlohmann::json compare_phases(const DualHead& model, const ChoiceRule& rule, const DecisionData& data,
                              const elrt::LatencyTable& latency, TaskSplit split, PolicyScores* scores = nullptr);

// `slos`: pairs of the lattice, a row each, and the mean; of compare_phases(), the mean with one level too.
std::string format_comparison(const nlohmann::json& comparison, const std::vector<SloRatios>& slos);

// A policy's name as documents have it: "hindsight" for oracle, "TLM" for tlm, ...
std::string policy_name(const std::string& policy);

// A policy's accuracy over the lattice: TTFT across, TPOT up. The title has the widest 95 % interval of a cell.
HeatMap comparison_map(const nlohmann::json& comparison, const std::string& policy);

}  // namespace elastify
