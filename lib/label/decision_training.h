// The decision-head's training on stored outcomes, with SLOs sampled over the lattice so that one head serves all.
//
// OBJECTIVES
//   right     every outcome counts, so that luck with one light decision weighs little: the loss is -log of the
//   expected utility of a decision
//             drawn from the head's two distributions among the feasible ones (feasibility is measured, not learned),
//             utility being 1 - saving x cost for a right answer within the SLO (cost as a share of the full
//             decision's) and 0 otherwise; where no feasible decision is right, the family's share of right answers
//             instead. (Without the logarithm two independent distributions get stuck: on one decision, where two that
//             share no level are needed.)
//   lightest  the published one: cross-entropy against the label of decisions.h.
#pragma once

#include "label/choice.h"
#include "tlm/labelled_rows.h"
#include "tlm/tlm_settings.h"

namespace elastify {

struct DecisionConfig {
  std::string objective = "right";
  double saving = 0.05;  // how much a right answer is worth less at the full decision's cost
  double sharpness =
      0;  // 0: outcomes are right or wrong; else softmax(-sharpness x mean losses)[right option] in their place
  double prior_sharpness = 20;    // the classifiers start at so many times the mean utility of their levels
  std::int64_t eval_every = 100;  // steps; heads are compared on validation

  template <typename V>
  void visit(V& v) {
    v.choice("objective", objective, {"right", "lightest"},
             "right: the expected utility of a decision; lightest: cross-entropy against the lightest right decision, "
             "as published");
    v.number("saving", saving, 0, 1, "how much a right answer is worth less at the full decision's cost");
    v.number(
        "sharpness", sharpness, 0, 1000,
        "0: outcomes are right or wrong; else softmax(-sharpness x mean losses) of the right option in their place");
    v.number("prior_sharpness", prior_sharpness, 0, 1000,
             "the classifiers start at so many times the mean utility of their levels");
    v.integer("eval_every", eval_every, 1, 1'000'000'000, "steps between heads that are compared on validation");
  }
};

// Objective "right" of rows' logits; utility and feasible [rows, M, P], under the rows' SLOs, prior [rows or 1, M, P]:
// the family's shares of right answers. Mean over the rows where something is feasible. What is not feasible is never
// taken, so that it has no share of the distribution.
torch::Tensor utility_loss(const DecisionLogits& logits, const torch::Tensor& utility, const torch::Tensor& prior,
                           const torch::Tensor& feasible);

// One row per task of the table, in its order, with SLO tokens' places; of long prompts what elrt::decision_pieces()
// leaves.
struct DecisionData {
  const DecisionSpace& space;
  std::vector<TlmRow> rows;
};

struct DecisionTraining {
  TlmTrainResult losses;
  std::int64_t best_step = 0;
  double validation_accuracy = 0;  // of the head that is kept; over a part of the lattice
  double label_default_share = 0;  // of the labels: no decision was right
  ChoiceRule rule;                 // by the kept head on the validation tasks, which it had not seen then
};
// Which of several heads to keep, from the validation tasks' accuracies under each ([tasks], in order of training): the
// earliest that is worse than the best by no more than one standard error of the difference (the one-standard-error
// rule, Breiman et al. 1984). The last decimals of validation are luck where tasks are few, and the earlier head knows
// less by heart.
std::size_t choose_earliest(const std::vector<torch::Tensor>& accuracies);

// Trains decision_slots(model) on the train rows, from the train tasks' mean utility on. With validation rows
// choose_earliest() names the step to stop at, and the head starts again on train and validation tasks together, for as
// many passes over them.
DecisionTraining train_decision_head(DualHead& model, const TlmSettings& settings, const DecisionConfig& config,
                                     const DecisionData& data, std::uint64_t seed);

// The heads' logits for tasks under one SLO.
struct Proposals {
  torch::Tensor model_level, prompt_level;  // [tasks, M], [tasks, P]
};
Proposals propose(const DualHead& model, const std::vector<TlmRow>& rows, const torch::Tensor& tasks,
                  const SloRatios& slo);

// The feasible decision with the largest sum of logits; nothing where none is feasible.
std::optional<DecisionIndex> top_feasible(const torch::Tensor& model_logits, const torch::Tensor& prompt_logits,
                                          const torch::Tensor& feasible);

}  // namespace elastify
