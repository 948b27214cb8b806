// Which decision is right for a task under an SLO on a device, from stored outcomes and the device's latency table.
//
// COST. A decision's cost is the time a whole answer is predicted to take, TTFT + (output tokens - 1) x TPOT; of equals
// the smaller model level, then the smaller prompt level, is the lighter one. LABEL. The lightest feasible decision
// whose answer is right. Where none is: the default, the feasible decision that is right most often over the tasks of
// the same family among `prior` (of equals the lighter one). Where none is feasible: none.
#pragma once

#include <elrt/artifact.hpp>
#include <elrt/scheduler.hpp>

#include <array>
#include <optional>
#include <vector>

#include "label/outcome_table.h"

namespace elastify {

// TTFT and TPOT as shares of the full model's.
using SloRatios = std::array<double, 2>;
// TTFT 0.2..1.0 and TPOT 0.5..1.0 in steps of 0.1: 54 pairs, TTFT first.
std::vector<SloRatios> slo_lattice();

// Indices into the table's levels.
struct DecisionIndex {
  std::int64_t model = 0, prompt = 0;
  bool operator==(const DecisionIndex&) const = default;
};

// A device as the runtime sees it. Predictions are elrt's scheduler's, but for the tokens of a compressed prompt: the
// runtime takes the share that the level says until it has compressed; here the count is known, and the larger of both
// counts.
class DecisionSpace {
 public:
  // `tlm`: whether a TLM proposes decisions, so that its time counts: not where the full model on the whole prompt
  // keeps the SLO without it, for then nobody asks. Without it, only shortened prompts pay, for the TLM that scores
  // their words. Throws Error(kUsage) where the latency table lacks one of the levels.
  DecisionSpace(const OutcomeTable& table, const elrt::LatencyTable& latency, bool tlm);

  // Whether the full decision keeps the SLO without a TLM: then it is taken.
  bool full_feasible(std::int64_t task, const SloRatios& slo) const;
  // [M, P] bool of one task.
  torch::Tensor feasible(std::int64_t task, const SloRatios& slo) const;
  // [M, P] float64, milliseconds.
  torch::Tensor cost(std::int64_t task) const;
  // All decisions, the lightest first.
  std::vector<DecisionIndex> by_cost(std::int64_t task) const;
  const OutcomeTable& table() const { return table_; }

 private:
  elrt::Request request(std::int64_t task, const SloRatios& slo) const;
  elrt::Latency predict(const elrt::Request& request, std::int64_t task, std::int64_t model, std::int64_t prompt) const;
  const OutcomeTable& table_;
  bool tlm_;
  elrt::Scheduler scheduler_;
};

// [families, M, P] float64: the share of right answers among `rows` of each family; of all rows where a family has
// none.
torch::Tensor family_accuracy(const OutcomeTable& table, const torch::Tensor& rows);

// feasible: [M, P]; accuracy: [M, P]. The best expected one, of equals the lightest; nothing where none is feasible.
std::optional<DecisionIndex> best_feasible(const torch::Tensor& feasible, const torch::Tensor& accuracy,
                                           const std::vector<DecisionIndex>& by_cost);

struct DecisionLabel {
  DecisionIndex decision;
  bool right = false;  // false: the default
};
// prior: family_accuracy() of the tasks that labels may know.
std::optional<DecisionLabel> decision_label(const DecisionSpace& space, std::int64_t task, const SloRatios& slo,
                                            const torch::Tensor& prior);

// For machines that nobody measured: TTFT = n b / S and TPOT = b / S with b the weight bytes that a token of the level
// reads and S = 10 GB/s. Only the proportions matter where SLOs are ratios.
elrt::LatencyTable synthetic_latency(const elrt::Artifact& artifact);

// A table that was measured before there was a TLM gets one that takes 5 % (deciding) and 4 % (scoring) of the full
// model's TTFT; any other stays as it is.
elrt::LatencyTable with_tlm_latency(const elrt::LatencyTable& table);

}  // namespace elastify
