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

struct BestDecision {
  double hindsight = 0;  // right wherever any feasible decision is, on the first repeat
  double at_most = 0;    // the best decision by all repeats, on the same repeats
  double corrected = 0;  // chosen on all repeats but one, judged on that one
  double error = 0;      // standard error of `corrected` over tasks
};

// right: [tasks, repeats, decisions] bool, at least two repeats. feasible: [tasks, decisions] bool; a task without any
// counts as wrong. prior: [tasks, decisions] float64, expected shares of right answers from other tasks: weighs as one
// repeat more in every choice, so that few repeats do not choose at random. No tasks: all zero.
BestDecision best_decision(const torch::Tensor& right, const torch::Tensor& feasible, const torch::Tensor& prior);

// The mean of `ours` less `theirs` over the same tasks (float64 each) and its standard error; no tasks: zero.
struct PairedDifference {
  double mean = 0, error = 0;
};
PairedDifference paired_difference(const torch::Tensor& ours, const torch::Tensor& theirs);

}  // namespace elastify
