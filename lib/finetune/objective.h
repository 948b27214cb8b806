// What one pass minimises, with its gradient written out: softmax(logits) is computed once and autograd starts at the
// logits, which saves two passes over [positions, vocab].
#pragma once

#include "base/torch.h"

namespace elastify {

struct Objective {
  double distill_weight = 1;  // w
  double temperature = 1;     // T
  double scale = 1;           // multiplies loss and gradient: one over the targets of the whole step
};

struct ObjectiveResult {
  torch::Tensor loss;      // scalar, float32 (float64 for float64 logits): summed over the positions, times scale
  torch::Tensor gradient;  // d loss / d student, like `student`
};

// Per position, with p = softmax(student), p_T and q_T the student's and the teacher's softmax at temperature T:
//   loss = w T^2 KL(q_T || p_T) - (1 - w) log p[target]        (Hinton et al. 2015; T^2 keeps gradients of one size)
//   d loss / d student = w T (p_T - q_T) + (1 - w) (p - onehot(target))
// student, teacher: [positions, vocab]; targets: [positions] int64, all counted. `teacher` may be undefined: then w is
// 0. Runs without a graph.
ObjectiveResult evaluate_objective(const torch::Tensor& student, const torch::Tensor& teacher,
                                   const torch::Tensor& targets, const Objective& objective);

}  // namespace elastify
