// Which decision is right for a task under an SLO on a device, from stored outcomes and the device's latency table.
//
// DECODE LEVEL. A decision is a pair, model level and prompt level; the SLO adds the level that makes the tokens after
// the first, as the runtime's scheduler does: the largest one up to the model level that keeps the TPOT, and where none
// does, the smallest (the pair is not feasible then). Of answers of one token no TPOT counts, and the model level it
// is. So outcomes of [M, D, P] are [M, P] under an SLO: SloView.
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

// Tasks, a row each, under an SLO each: every pair with the decode level that the SLO gives it.
struct SloView {
  torch::Tensor decode;    // [rows, M, P] int64: index of the decode level
  torch::Tensor feasible;  // [rows, M, P] bool
  torch::Tensor right;     // [rows, M, P] bool: the answer, whether feasible or not
  torch::Tensor cost;      // [rows, M, P] float64, milliseconds
  torch::Tensor full;  // [rows] bool: the full pair keeps the SLO without a TLM: then it is taken, and nobody asks one

  // Of values by decode level, [rows, M, D, P], those of the rows' decode levels: [rows, M, P].
  torch::Tensor reduce(const torch::Tensor& by_decode) const;
  // A row's decisions, the lightest first.
  std::vector<DecisionIndex> by_cost(std::int64_t row) const;
};

// A device as the runtime sees it. Predictions are elrt's scheduler's, but for the tokens of a compressed prompt: the
// runtime takes the share that the level says until it has compressed; here the count is known, and the larger of both
// counts.
class DecisionSpace {
 public:
  // `tlm`: whether a TLM proposes decisions, so that its time counts: not where the full model on the whole prompt
  // keeps the SLO without it, for then nobody asks. Without it, only shortened prompts pay, for the TLM that scores
  // their words. `phases` false: the model level decodes, as it does where the table was labelled so. `table` must
  // outlive this. Throws Error(kUsage) where the latency table lacks one of the levels.
  DecisionSpace(const OutcomeTable& table, const elrt::LatencyTable& latency, bool tlm, bool phases = true);

  // tasks: [rows] int64 of the table's; ratios: [rows, 2] float64, or one SLO for all of them.
  SloView under(const torch::Tensor& tasks, const torch::Tensor& ratios) const;
  SloView under(const torch::Tensor& tasks, const SloRatios& slo) const;
  SloView under(const SloRatios& slo) const;  // all tasks
  // [tasks] float64, milliseconds: of the heaviest pair, decoding at its model level.
  torch::Tensor largest_cost() const;
  // [tasks, 2] float64, milliseconds: TTFT and TPOT of the full model.
  const torch::Tensor& full_times() const { return full_; }
  // From now on SLOs are shares of these times, [tasks, 2], and not of full_times(): another artifact's, so that both
  // are judged by one clock.
  void judge_by(const torch::Tensor& times) { clock_ = times; }
  bool phases() const { return phases_; }
  const OutcomeTable& table() const { return table_; }

 private:
  void predict(const elrt::Scheduler& scheduler, std::int64_t task);
  torch::Tensor decode_levels(const torch::Tensor& keeps) const;
  const OutcomeTable& table_;
  bool tlm_, phases_;
  torch::Tensor ttft_;          // [tasks, M, P] float64, ms
  torch::Tensor tpot_;          // [tasks, D, P] float64, ms
  torch::Tensor full_, clock_;  // see full_times() and judge_by()
  torch::Tensor right_;         // [tasks, M, D, P] bool
  torch::Tensor has_tpot_;      // [tasks] bool: more than one output token
};

// right: [tasks, M, P], of all of the table's tasks. [families, M, P] float64: the share of right answers among `rows`
// of each family; of all rows where a family has none.
torch::Tensor family_accuracy(const OutcomeTable& table, const torch::Tensor& right, const torch::Tensor& rows);

// feasible: [M, P]; accuracy: [M, P]. The best expected one, of equals the lightest; nothing where none is feasible.
std::optional<DecisionIndex> best_feasible(const torch::Tensor& feasible, const torch::Tensor& accuracy,
                                           const std::vector<DecisionIndex>& by_cost);

struct DecisionLabel {
  DecisionIndex decision;
  bool right = false;  // false: the default
};
// prior: [M, P], the task's family's row of family_accuracy() of the tasks that labels may know.
std::optional<DecisionLabel> decision_label(const SloView& view, std::int64_t row, const torch::Tensor& prior);

// For machines that nobody measured: TTFT = n b / S and TPOT = b / S with b the weight bytes that a token of the level
// reads and S = 10 GB/s. Only the proportions matter where SLOs are ratios.
elrt::LatencyTable synthetic_latency(const elrt::Artifact& artifact);

// A table that was measured before there was a TLM gets one that takes 5 % (deciding) and 4 % (scoring) of the full
// model's TTFT; any other stays as it is.
elrt::LatencyTable with_tlm_latency(const elrt::LatencyTable& table);

}  // namespace elastify
