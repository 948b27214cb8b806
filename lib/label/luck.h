// Hindsight without its luck.
//
// Whoever picks, for every task, a decision that happened to be right is right by chance too: of sixty decisions that
// each guess among four options nearly always one hits. What a perfect chooser could reach is the expected accuracy of
// every task's best decision. Here each task is asked several times in other words (repeats); the decision is chosen on
// all repeats but one and judged on that one, every repeat in turn (cross-fitting: as a held-out fold is no part of the
// choice, its mean is an unbiased estimate of what is chosen; Stone 1974). As few repeats choose imperfectly, the
// corrected bound is at or under the true one in expectation, and the mean over all repeats of the decision that is
// best on these same repeats is at or over it: the truth lies between both.
#pragma once

#include "base/torch.h"

namespace elastify {

// Of each task: [tasks] float64.
struct BestDecision {
  torch::Tensor hindsight;  // right wherever any feasible decision is, on the first repeat
  torch::Tensor at_most;    // the best decision by all repeats, on the same repeats
  torch::Tensor corrected;  // chosen on all repeats but one, judged on that one
};

// right: [tasks, repeats, decisions] bool, at least two repeats. feasible: [tasks, decisions] bool; a task without any
// counts as wrong. prior: [tasks, decisions] float64, expected shares of right answers from other tasks: weighs as one
// repeat more in every choice, so that few repeats do not choose at random.
BestDecision best_decision(const torch::Tensor& right, const torch::Tensor& feasible, const torch::Tensor& prior);

// Of float64 values, one for each task, drawn on their own: the mean and its standard error; of none, zero.
struct MeanError {
  double mean = 0, error = 0;
};
MeanError mean_error(const torch::Tensor& values);

}  // namespace elastify
