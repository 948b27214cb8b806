// How good decisions are: policies (policies.h) side by side on held-out tasks. An answer counts where it is right and
// its decision is predicted to keep the SLO.
#pragma once

#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <vector>

#include "base/plot.h"
#include "label/policies.h"

namespace elastify {

// Every task of a split under every SLO, by policy: [tasks, slos] float64.
struct PolicyScores {
  std::vector<SloRatios> slos;
  std::map<std::string, torch::Tensor> right;  // 1 where the answer is right within the SLO; a share for `random`
  std::map<std::string, torch::Tensor> met;    // 1 where some decision keeps the SLO
  torch::Tensor family{};                      // [tasks] int64: index into families
  std::vector<std::string> families{};
};
// What the head says of a split's tasks under every SLO of the lattice, in its order: asked once for any number of
// comparisons.
std::vector<Proposals> propose_lattice(const DualHead& model, const DecisionData& data, TaskSplit split);

// `proposals` of propose_lattice(); `space`, with a TLM, and `without_tlm` are over the same table, which needs
// validation tasks.
PolicyScores judge_policies(const std::vector<Proposals>& proposals, const ChoiceRule& rule, const DecisionSpace& space,
                            const DecisionSpace& without_tlm, TaskSplit split);

// {tasks, lattice: [{ttft, tpot, POLICY: {accuracy, met}}], mean: {POLICY: {accuracy, met}}, families: {FAMILY: mean of
// its tasks}, gap_closed, falls: looser_falls() of tlm}: means over the lattice; gap_closed is the share of the gap
// from single to oracle that tlm closes (null where there is none).
nlohmann::json compare_decisions(const PolicyScores& scores);

// Where a looser SLO answers worse beyond noise: pairs of neighbours in the lattice, the second one looser in one of
// both ratios, between which the policy's right answers fall by more than three standard errors of the mean difference
// over the tasks (three, as there are 93 pairs): [{from: [ttft, tpot], to, change, error}].
nlohmann::json looser_falls(const PolicyScores& scores, const std::string& policy);

// The same by decode levels as the SLOs leave them and, as its "one_level" (without tasks), by one level for both
// phases; without that where the outcomes have none other. `scores` of the first, if wanted. `space` is over
// `latency`, with a TLM and phases.
nlohmann::json compare_phases(const std::vector<Proposals>& proposals, const ChoiceRule& rule,
                              const DecisionSpace& space, const elrt::LatencyTable& latency, TaskSplit split,
                              PolicyScores* scores = nullptr);

// `slos`: pairs of the lattice, a row each, and the mean; of compare_phases(), the mean with one level too.
std::string format_comparison(const nlohmann::json& comparison, const std::vector<SloRatios>& slos);

// A policy's accuracy over the lattice: TTFT across, TPOT up. The title has the widest 95 % interval of a cell.
HeatMap comparison_map(const nlohmann::json& comparison, const std::string& policy);

}  // namespace elastify
